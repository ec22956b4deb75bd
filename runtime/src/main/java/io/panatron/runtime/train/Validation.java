package io.panatron.runtime.train;

/** Measures the model on the validation set. */
public interface Validation {
  Evaluation.Result run();
}
