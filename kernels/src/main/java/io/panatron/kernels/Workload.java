package io.panatron.kernels;

/** What a backend is opened for, which says what it had better prepare before the first step. */
public enum Workload {
  /** Steps of many tokens, forward and backward. */
  TRAINING,
  /** Prompts, then steps of a token for each sequence. */
  GENERATION
}
