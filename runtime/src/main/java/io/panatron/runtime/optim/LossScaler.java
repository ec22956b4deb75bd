package io.panatron.runtime.optim;

/**
 * The factor on the loss that keeps the gradients of float16 activations from vanishing; the update
 * divides by it again.
 */
public sealed interface LossScaler permits FixedLossScale, DynamicLossScale {
  /** The factor of the next backward pass. */
  double scale();

  /**
   * Whether an overflow of the gradients is a sign to this scaler, so that the step is skipped;
   * otherwise it is an error.
   */
  boolean isDynamic();
}
