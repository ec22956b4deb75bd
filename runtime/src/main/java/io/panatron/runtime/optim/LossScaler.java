package io.panatron.runtime.optim;

/**
 * The factor on the loss that keeps the gradients of float16 activations from vanishing; the update
 * divides by it again.
 */
public sealed interface LossScaler permits DynamicLossScale, NoLossScale {
  /** The factor of the next backward pass. */
  double scale();
}
