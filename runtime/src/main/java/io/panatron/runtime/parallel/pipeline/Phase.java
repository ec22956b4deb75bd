package io.panatron.runtime.parallel.pipeline;

/** Where in the schedule of its rank a pass stands. */
public enum Phase {
  /** Forward passes before the first backward pass. */
  WARMUP,
  /** Forward and backward passes in turns. */
  STEADY,
  /** Backward passes after the last forward pass. */
  COOLDOWN
}
