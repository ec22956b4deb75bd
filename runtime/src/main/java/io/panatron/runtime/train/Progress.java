package io.panatron.runtime.train;

/**
 * How far a run has come.
 *
 * @param iteration optimizer steps done
 * @param consumedSamples training samples drawn, which decides the data position and the learning
 *     rate
 */
public record Progress(long iteration, long consumedSamples) {
  /** The start of a fresh run. */
  public static final Progress START = new Progress(0, 0);

  Progress after(int samples) {
    return new Progress(iteration + 1, consumedSamples + samples);
  }
}
