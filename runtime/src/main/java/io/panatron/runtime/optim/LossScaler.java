package io.panatron.runtime.optim;

/**
 * The factor on the loss that keeps the gradients of float16 activations from vanishing; the update
 * divides by it again.
 */
public sealed interface LossScaler permits DynamicLossScale, LossScaler.None {
  /** What float32 and bfloat16, with their eight bits of exponent, need: a factor of 1. */
  LossScaler NONE = new None();

  /** The factor of the next backward pass. */
  double scale();

  /** No scaling: gradients that are not finite are an error. */
  record None() implements LossScaler {
    @Override
    public double scale() {
      return 1;
    }
  }
}
