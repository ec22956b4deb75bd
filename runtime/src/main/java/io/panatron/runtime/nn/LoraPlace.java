package io.panatron.runtime.nn;

/**
 * Where an adapter stands in a model; decides what its dropout drops.
 *
 * @param layer the layer's number in the whole model
 */
public record LoraPlace(int layer, Linear linear) {
  /** The linear layers of a decoder layer; their order decides which elements are dropped. */
  public enum Linear {
    QKV,
    ATTENTION_OUTPUT,
    MLP_UP,
    MLP_DOWN
  }
}
