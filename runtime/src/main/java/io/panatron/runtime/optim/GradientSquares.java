package io.panatron.runtime.optim;

/** The sum of the squares of all gradients of a model, wherever its ranks hold them. */
public interface GradientSquares {
  /** The sum, the same on every rank; not finite if and only if a gradient is not. */
  double sum();

  /**
   * The first parameter on this rank or another with a gradient that is not finite, where {@link
   * #sum} is not; the same on every rank.
   *
   * @throws IllegalStateException if the sum overflows although every gradient is finite
   */
  String firstNonFinite();
}
