package io.panatron.runtime.train;

/**
 * How far a run has come.
 *
 * @param iteration iterations done, skipped ones included
 * @param consumedSamples training samples drawn, which decides the data position
 * @param scheduledSamples those of them that an update was made of, which decide the learning rate
 */
public record Progress(long iteration, long consumedSamples, long scheduledSamples) {
  /** The start of a fresh run. */
  public static final Progress START = new Progress(0, 0, 0);

  Progress after(int samples, boolean skipped) {
    return new Progress(
        iteration + 1, consumedSamples + samples, scheduledSamples + (skipped ? 0 : samples));
  }
}
