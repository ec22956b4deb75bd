package io.panatron.runtime.model;

/**
 * The part of a model that one pipeline stage holds: consecutive layers, and at the ends of the
 * pipeline the embedding and the output head.
 *
 * @param firstLayer number of the first layer in the whole model
 * @param layers how many; may be 0
 * @param embedding whether the stage starts from token ids
 * @param head whether the stage ends with the losses
 */
public record StagePart(int firstLayer, int layers, boolean embedding, boolean head) {
  public StagePart {
    if (firstLayer < 0 || layers < 0) {
      throw new IllegalArgumentException(layers + " layers from layer " + firstLayer);
    }
  }

  /** All of a model. */
  public static StagePart whole(ModelConfig config) {
    return new StagePart(0, config.numLayers(), true, true);
  }

  /** Whether a parameter of the trainer's name belongs to this part. */
  boolean holds(String parameter, ModelConfig config) {
    if (parameter.startsWith(LAYER_PREFIX)) {
      int layer =
          Integer.parseInt(
              parameter.substring(
                  LAYER_PREFIX.length(), parameter.indexOf('.', LAYER_PREFIX.length())));
      return layer >= firstLayer && layer < firstLayer + layers;
    }
    if (parameter.startsWith("model.embed_tokens.")) {
      return embedding || (head && config.tieWordEmbeddings());
    }
    if (parameter.startsWith("model.embed_positions.")) {
      return embedding;
    }
    return head;
  }

  private static final String LAYER_PREFIX = "model.layers.";
}
