package io.panatron.kernels.cpu;

/**
 * The rows in which each worker of a kernel computes; they grow to the longest row asked for and
 * are kept between calls. Each ends with a spare vector, in which {@link NormRows} leaves the lanes
 * of a sum.
 */
final class RowBuffers {
  /** Elements of a stretch of a long row: several of them lie in the L1 cache together. */
  static final int STRETCH = 1024;

  private final float[][][] rows;
  private int length;

  /**
   * @param threads number of workers
   * @param count rows of each worker
   */
  RowBuffers(int threads, int count) {
    rows = new float[threads][count][0];
  }

  /**
   * Makes all rows hold {@code n} elements and the rest of the last vector; not while a kernel
   * runs.
   */
  void reserve(int n) {
    int needed = RowAccess.padded(n);
    if (needed <= length) {
      return;
    }
    for (float[][] own : rows) {
      for (int i = 0; i < own.length; i++) {
        own[i] = new float[needed + VectorMath.LANES];
      }
    }
    length = needed;
  }

  float[] row(int worker, int index) {
    return rows[worker][index];
  }
}
