package io.panatron.runtime.data;

import java.util.List;

/**
 * Samples in the order of the data set. A sample is a row, a stretch of one, or a pack of several.
 * Safe for use by several threads.
 */
public abstract sealed class SampleSet permits RowSamples, SequenceSamples, PackedSamples {
  public abstract int size();

  /** {@code file:line} of a sample; of a pack, of its first row. */
  public abstract String location(int sample);

  /** The tokenized sequences of a sample, which do not see each other: one, or those of a pack. */
  public abstract List<EncodedSample> sequences(int sample);

  /**
   * As {@link #sequences(int)}, where what is chosen of a sample may change from draw to draw.
   *
   * @param draw a number that no other draw of the sample has
   */
  List<EncodedSample> sequences(int sample, long draw) {
    return sequences(sample);
  }

  /** The tokens of a sample. */
  public abstract int length(int sample);

  /** The first sequence of a sample, which is the only one unless samples are packs. */
  public final EncodedSample get(int sample) {
    return sequences(sample).getFirst();
  }

  /** The tokens of all samples. */
  public final int[] lengths() {
    int[] lengths = new int[size()];
    for (int i = 0; i < lengths.length; i++) {
      lengths[i] = length(i);
    }
    return lengths;
  }
}
