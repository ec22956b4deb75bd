package io.panatron.runtime.optim;

/** The gradients of a model, wherever its ranks hold them. */
public interface GradientGroup {
  /** Adds up what ranks computed of the same gradient, once after the last backward pass. */
  void complete();

  /**
   * The sum of all squares, the same on every rank; not finite if and only if a gradient is not.
   */
  double sumOfSquares();

  /**
   * The first parameter on this rank or another with a gradient that is not finite, where {@link
   * #sumOfSquares} is not; the same on every rank.
   *
   * @throws IllegalStateException if the sum overflows although every gradient is finite
   */
  String firstNonFinite();
}
