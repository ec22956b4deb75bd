package io.panatron.kernels.cpu;

/**
 * A division of equal items (rows, elements) into pieces for the {@link WorkerPool}; it depends on
 * the shape alone, so that sums over pieces have the same bits for any number of threads.
 *
 * @param items how many items there are
 * @param size items of each piece but the last, which may have fewer
 */
record Pieces(long items, int size) {
  /** Elements of a piece: it takes some microseconds, and its tensors stay in the L2 cache. */
  private static final int ELEMENTS = 1 << 15;

  /** The most pieces of which each has a partial sum: together they stay small. */
  private static final int MOST_SUMS = 64;

  static Pieces ofElements(long elements) {
    return new Pieces(elements, ELEMENTS);
  }

  /** Rows of {@code columns} elements. */
  static Pieces ofRows(long rows, int columns) {
    return new Pieces(rows, Math.max(1, ELEMENTS / Math.max(1, columns)));
  }

  /** As {@link #ofRows}, for kernels that keep a partial sum for each piece. */
  static Pieces ofSummedRows(long rows, int columns) {
    int least = Math.toIntExact(Math.ceilDiv(rows, (long) MOST_SUMS));
    return new Pieces(rows, Math.max(least, ofRows(rows, columns).size));
  }

  int count() {
    return Math.toIntExact(Math.ceilDiv(items, (long) size));
  }

  /** The first item of a piece. */
  long start(int piece) {
    return (long) piece * size;
  }

  /** Items of a piece. */
  int length(int piece) {
    return (int) Math.min(size, items - start(piece));
  }
}
