package io.panatron.runtime.data;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The sequences of a sample that has several, or a label of its own.
 *
 * @param lengths tokens of each sequence; together those of the sample
 * @param tags of each sequence
 */
record SampleParts(int[] lengths, List<SequenceTag> tags) {
  SampleParts {
    tags = List.copyOf(tags);
    if (lengths.length != tags.size()) {
      throw new IllegalArgumentException(lengths.length + " sequences, " + tags.size() + " tags");
    }
  }

  int longest() {
    return Arrays.stream(lengths).max().orElse(0);
  }

  /** The sequences as samples of their own, each with its tag. */
  List<EncodedSample> split(int[] ids, float[] weights) {
    List<EncodedSample> sequences = new ArrayList<>(lengths.length);
    int from = 0;
    for (int s = 0; s < lengths.length; s++) {
      int to = from + lengths[s];
      sequences.add(
          new EncodedSample(
              Arrays.copyOfRange(ids, from, to),
              Arrays.copyOfRange(weights, from, to),
              null,
              new SampleParts(new int[] {lengths[s]}, List.of(tags.get(s)))));
      from = to;
    }
    return sequences;
  }

  /** Sequences as one sample. */
  static EncodedSample join(List<EncodedSample> sequences) {
    int total = sequences.stream().mapToInt(EncodedSample::length).sum();
    int[] ids = new int[total];
    int[] lengths = new int[sequences.size()];
    List<SequenceTag> tags = new ArrayList<>(sequences.size());
    int from = 0;
    for (int s = 0; s < lengths.length; s++) {
      EncodedSample sequence = sequences.get(s);
      lengths[s] = sequence.length();
      System.arraycopy(sequence.ids(), 0, ids, from, lengths[s]);
      tags.add(sequence.tag());
      from += lengths[s];
    }
    return new EncodedSample(ids, new float[total], null, new SampleParts(lengths, tags));
  }
}
