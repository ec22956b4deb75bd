package io.panatron.runtime.data;

import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A tokenized sample.
 *
 * @param ids token ids
 * @param weights loss weight of each token as a target, 0 where it is none; as long as {@code ids}
 * @param channel the group in which its loss is shown; null where no groups are asked for
 * @param parts its sequences, where the loss is that of sequences; null for one whose loss is that
 *     of its tokens
 */
public record EncodedSample(
    int[] ids, float[] weights, @Nullable String channel, @Nullable SampleParts parts) {
  public EncodedSample(int[] ids, float[] weights) {
    this(ids, weights, null);
  }

  /** A sample whose loss is that of its tokens. */
  public EncodedSample(int[] ids, float[] weights, @Nullable String channel) {
    this(ids, weights, channel, null);
  }

  public EncodedSample {
    if (ids.length != weights.length) {
      throw new IllegalArgumentException(ids.length + " ids, " + weights.length + " weights");
    }
  }

  public int length() {
    return ids.length;
  }

  /** The tokens of the longest sequence. */
  int longest() {
    return parts == null ? ids.length : parts.longest();
  }

  /** The sequences, each a sample of its own. */
  List<EncodedSample> sequences() {
    return parts == null ? List.of(this) : parts.split(ids, weights);
  }

  /** What is known of this sequence. */
  SequenceTag tag() {
    if (parts == null || parts.tags().size() != 1) {
      throw new IllegalStateException("a sample of " + parts + " is not one sequence");
    }
    return parts.tags().getFirst();
  }

  EncodedSample range(int from, int to) {
    return new EncodedSample(
        Arrays.copyOfRange(ids, from, to),
        Arrays.copyOfRange(weights, from, to),
        channel,
        parts == null ? null : new SampleParts(new int[] {to - from}, List.of(tag())));
  }
}
