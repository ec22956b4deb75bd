package io.panatron.kernels;

import java.util.Arrays;

/**
 * Which rows of packed query and key/value tensors belong together: sequence {@code s} has the
 * queries {@code queryStarts[s] .. queryStarts[s+1]} and the {@code keyLengths[s]} keys from row
 * {@code keyStarts[s]}.
 *
 * <p>Attention is causal and aligned at the end: query {@code i} of a sequence with {@code n}
 * queries and {@code m >= n} keys sees the keys {@code 0 .. i + m - n}. Training has {@code m ==
 * n}; decoding with a key-value cache has few queries and many keys.
 */
public final class AttentionLayout {
  private final int[] queryStarts;
  private final int[] keyStarts;
  private final int[] keyLengths;

  public AttentionLayout(int[] queryStarts, int[] keyStarts, int[] keyLengths) {
    this.queryStarts = queryStarts.clone();
    this.keyStarts = keyStarts.clone();
    this.keyLengths = keyLengths.clone();
    int sequences = keyStarts.length;
    if (queryStarts.length != sequences + 1 || keyLengths.length != sequences) {
      throw new IllegalArgumentException("query starts, key starts and key lengths disagree");
    }
    for (int s = 0; s < sequences; s++) {
      int queries = queryStarts[s + 1] - queryStarts[s];
      if (queries < 0 || keyLengths[s] < queries || keyStarts[s] < 0) {
        throw new IllegalArgumentException(
            "sequence " + s + " has " + queries + " queries and " + keyLengths[s] + " keys");
      }
    }
  }

  /** Self-attention over packed sequences: keys are the rows of the queries. */
  public static AttentionLayout packed(int[] sequenceStarts) {
    int sequences = sequenceStarts.length - 1;
    int[] lengths = new int[sequences];
    for (int s = 0; s < sequences; s++) {
      lengths[s] = sequenceStarts[s + 1] - sequenceStarts[s];
    }
    return new AttentionLayout(sequenceStarts, Arrays.copyOf(sequenceStarts, sequences), lengths);
  }

  public int sequences() {
    return keyStarts.length;
  }

  public int queryStart(int sequence) {
    return queryStarts[sequence];
  }

  public int queryLength(int sequence) {
    return queryStarts[sequence + 1] - queryStarts[sequence];
  }

  public int keyStart(int sequence) {
    return keyStarts[sequence];
  }

  public int keyLength(int sequence) {
    return keyLengths[sequence];
  }

  /** Rows of the query tensor. */
  public int totalQueries() {
    return queryStarts[queryStarts.length - 1];
  }
}
