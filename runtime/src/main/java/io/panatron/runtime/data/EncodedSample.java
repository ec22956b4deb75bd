package io.panatron.runtime.data;

/**
 * A tokenized sample.
 *
 * @param ids token ids
 * @param weights loss weight of each token as a target, 0 where it is none; as long as {@code ids}
 */
public record EncodedSample(int[] ids, float[] weights) {
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
        java.util.Arrays.copyOfRange(weights, from, to));
  }
}
