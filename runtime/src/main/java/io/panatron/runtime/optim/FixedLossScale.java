package io.panatron.runtime.optim;

/**
 * A loss scale that stays.
 *
 * @param scale above 0
 */
public record FixedLossScale(double scale) implements LossScaler {
  /** What float32 and bfloat16, with their eight bits of exponent, need. */
  public static final FixedLossScale NONE = new FixedLossScale(1);

  @Override
  public boolean isDynamic() {
    return false;
  }
}
