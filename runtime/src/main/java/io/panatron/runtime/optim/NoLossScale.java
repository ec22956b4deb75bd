package io.panatron.runtime.optim;

/**
 * A factor of 1: all that float32 and bfloat16 need, with their eight bits of exponent. Gradients
 * that are not finite are then an error.
 */
record NoLossScale() implements LossScaler {
  @Override
  public double scale() {
    return 1;
  }
}
