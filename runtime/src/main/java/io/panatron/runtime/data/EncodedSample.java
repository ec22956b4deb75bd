package io.panatron.runtime.data;

import org.jspecify.annotations.Nullable;

/**
 * A tokenized sample.
 *
 * @param ids token ids
 * @param weights loss weight of each token as a target, 0 where it is none; as long as {@code ids}
 * @param channel the group in which its loss is shown; null where no groups are asked for
 */
public record EncodedSample(int[] ids, float[] weights, @Nullable String channel) {
  public EncodedSample(int[] ids, float[] weights) {
    this(ids, weights, null);
  }

  public EncodedSample {
    if (ids.length != weights.length) {
      throw new IllegalArgumentException(ids.length + " ids, " + weights.length + " weights");
    }
  }

  public int length() {
    return ids.length;
  }

  EncodedSample range(int from, int to) {
    return new EncodedSample(
        java.util.Arrays.copyOfRange(ids, from, to),
        java.util.Arrays.copyOfRange(weights, from, to),
        channel);
  }
}
