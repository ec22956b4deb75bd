package io.panatron.kernels.cpu;

import io.panatron.kernels.AttentionLayout;

/**
 * The pieces of an attention gradient: for each sequence and key head, ranges of keys of about
 * equal work.
 *
 * <p>Short sequences have one range. A sequence that would keep one worker busy long after the
 * others are done is cut, at the price of one more copy of the query gradients that the range
 * reaches: since the mask is causal, those of the queries from the range's first key on, and under
 * a window those up to the block of the last query that sees the range's last key.
 *
 * <p>The cuts depend on lengths and heads only, so results do not depend on the number of threads.
 */
final class AttentionRanges {
  /** Pieces that a call should have, for an even load on a few cores. */
  private static final int WANTED_PIECES = 16;

  /**
   * More would hold more copies of the query gradients than the rest of the step has memory for.
   */
  private static final int MOST_RANGES = 8;

  /** Keys that a range should have, or the products are small. */
  private static final int LEAST_KEYS = 256;

  private final AttentionShape shape;
  private final int window;
  private final int[] queryStarts;
  private final int[] firstPieces;
  private final int[] ranges;
  private final int[] sequences;
  private final int[] firstKeys;
  private final int[] endKeys;
  private final int[] endQueries;
  private final long[] gradients;
  private final long gradientElements;

  private AttentionRanges(AttentionLayout layout, AttentionShape shape) {
    this.shape = shape;
    this.window = layout.window();
    int count = layout.sequences();
    queryStarts = new int[count];
    firstPieces = new int[count];
    ranges = new int[count];
    double work = 0;
    for (int s = 0; s < count; s++) {
      work += seenKeys(layout.keyLength(s)) * shape.keyHeads();
    }
    int pieces = 0;
    for (int s = 0; s < count; s++) {
      queryStarts[s] = layout.queryStart(s);
      int length = layout.keyLength(s);
      double share = work == 0 ? 0 : seenKeys(length) / work;
      int most = Math.clamp(length / LEAST_KEYS, 1, MOST_RANGES);
      ranges[s] = length == 0 ? 0 : Math.clamp((long) Math.ceil(share * WANTED_PIECES), 1, most);
      firstPieces[s] = pieces;
      pieces += ranges[s] * shape.keyHeads();
    }
    sequences = new int[pieces];
    firstKeys = new int[pieces];
    endKeys = new int[pieces];
    endQueries = new int[pieces];
    gradients = new long[pieces];
    long elements = 0;
    for (int piece = 0, s = 0; s < count; s++) {
      int length = layout.keyLength(s);
      for (int i = 0; i < ranges[s] * shape.keyHeads(); i++, piece++) {
        int range = i % ranges[s];
        sequences[piece] = s;
        firstKeys[piece] = cut(length, range, ranges[s]);
        endKeys[piece] = cut(length, range + 1, ranges[s]);
        endQueries[piece] = endQuery(endKeys[piece], length);
        gradients[piece] = elements;
        elements += (long) (endQueries[piece] - firstKeys[piece]) * shape.groupColumns();
      }
    }
    gradientElements = elements;
  }

  static AttentionRanges of(AttentionLayout layout, AttentionShape shape) {
    return new AttentionRanges(layout, shape);
  }

  /** Twice the pairs of query and seen key: a band, and the triangle at its end. */
  private double seenKeys(int length) {
    double w = window(length);
    return (2 * length - w) * w;
  }

  /**
   * The first key of a range, at the start of a query block.
   *
   * <p>Key {@code j} is seen by {@code min(w, length - j)} queries. What lies behind a cut among
   * the last {@code w} keys is a triangle, {@code (length - j)^2} of {@link #seenKeys}.
   */
  private int cut(int length, int range, int ranges) {
    if (range == ranges) {
      return length;
    }
    double w = window(length);
    double behind = seenKeys(length) * (1 - (double) range / ranges);
    double key =
        behind <= w * w ? length - Math.sqrt(behind) : length - w - (behind - w * w) / (2 * w);
    return ((int) (key / shape.queryBlock())) * shape.queryBlock();
  }

  /** The most keys that a query of a sequence sees. */
  int window(int length) {
    return Math.min(window, length);
  }

  /**
   * The end of the query blocks that see a key before {@code endKey}, in a sequence of {@code
   * length}.
   */
  int endQuery(int endKey, int length) {
    int end = Math.min(length, endKey + window(length) - 1);
    return Math.min(length, TileSizes.count(end, shape.queryBlock()) * shape.queryBlock());
  }

  /** The end of the query blocks that see a piece. */
  int endQuery(int piece) {
    return endQueries[piece];
  }

  int count() {
    return sequences.length;
  }

  int sequence(int piece) {
    return sequences[piece];
  }

  int keyHead(int piece) {
    int sequence = sequences[piece];
    return (piece - firstPieces[sequence]) / ranges[sequence];
  }

  /** First key of a piece, counted from its sequence's first; no query before it sees the range. */
  int firstKey(int piece) {
    return firstKeys[piece];
  }

  int endKey(int piece) {
    return endKeys[piece];
  }

  int rangesOf(int sequence) {
    return ranges[sequence];
  }

  /** The first of {@link #rangesOf} pieces in the order of their keys. */
  int firstPiece(int sequence, int keyHead) {
    return firstPieces[sequence] + keyHead * ranges[sequence];
  }

  /** Elements of all parts of the query gradients. */
  long queryGradientElements() {
    return gradientElements;
  }

  /**
   * Where a piece's part of a query's gradient lies; the query is counted from its sequence's
   * first.
   */
  long queryGradient(int piece, int query) {
    return gradients[piece] + (long) (query - firstKeys[piece]) * shape.groupColumns();
  }

  /** The sequence of a query of the call. */
  int sequenceOf(int query) {
    int low = 0;
    int high = queryStarts.length - 1;
    while (low < high) {
      int middle = (low + high + 1) >>> 1;
      if (queryStarts[middle] <= query) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    return low;
  }
}
