package io.panatron.runtime.train;

/** Measures the model on the validation set. */
public interface Validation {
  /**
   * Measures it.
   *
   * @param iteration after which it is measured, for what is written of it
   */
  Evaluation.Result run(long iteration);
}
