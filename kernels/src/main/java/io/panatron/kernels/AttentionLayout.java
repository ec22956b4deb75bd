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
 *
 * <p>With a window of {@code w} a query sees only the last {@code w} of these, itself included: as
 * transformers' {@code sliding_window}.
 */
public final class AttentionLayout {
  /** The window of a layout whose queries see all earlier keys. */
  public static final int NO_WINDOW = Integer.MAX_VALUE;

  private final int[] queryStarts;
  private final int[] keyStarts;
  private final int[] keyLengths;
  private final int window;

  public AttentionLayout(int[] queryStarts, int[] keyStarts, int[] keyLengths) {
    this.queryStarts = queryStarts.clone();
    this.keyStarts = keyStarts.clone();
    this.keyLengths = keyLengths.clone();
    this.window = NO_WINDOW;
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

  private AttentionLayout(AttentionLayout layout, int window) {
    this.queryStarts = layout.queryStarts;
    this.keyStarts = layout.keyStarts;
    this.keyLengths = layout.keyLengths;
    this.window = window;
  }

  /**
   * The same sequences seen through a window.
   *
   * @param keys how many keys a query sees at most, itself included; {@link #NO_WINDOW} for all
   */
  public AttentionLayout withWindow(int keys) {
    if (keys < 1) {
      throw new IllegalArgumentException("a window of " + keys + " keys hides every key");
    }
    return keys == window ? this : new AttentionLayout(this, keys);
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

  /** The most keys that a query sees; {@link #NO_WINDOW} where it sees all earlier ones. */
  public int window() {
    return window;
  }

  /** Rows of the query tensor. */
  public int totalQueries() {
    return queryStarts[queryStarts.length - 1];
  }
}
