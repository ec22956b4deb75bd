package io.panatron.runtime.generate;

/** Hears of every token as it is drawn, and may end its sample. */
@FunctionalInterface
public interface TokenListener {
  /** Hears nothing and ends nothing. */
  TokenListener NONE = (prompt, sample, token) -> true;

  /**
   * Called once for each token but stop tokens, in order for each sample; samples of a batch take
   * turns.
   *
   * @return false to end the sample with this token
   */
  boolean goesOnAfter(int prompt, int sample, int token);

  /** Called once when a sample has ended. */
  default void ended(Completion completion) {}
}
