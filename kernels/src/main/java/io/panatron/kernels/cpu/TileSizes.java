package io.panatron.kernels.cpu;

/**
 * How the cpu backend cuts a result matrix into tiles: as a function of its shape alone, so that
 * results do not depend on the number of threads.
 */
final class TileSizes {
  /** Edge at which one-threaded products come within 3 % of the speed of large ones. */
  static final int EDGE = 512;

  /** Below this, packing the other operand costs a tenth of the product. */
  private static final int LEAST_EDGE = 256;

  /** Enough that a worker which is late by one tile does not hold up the others for long. */
  private static final int WANTED_TILES = 8;

  /**
   * Products run at full speed when rows are a multiple of this, the width of their inner kernel.
   */
  private static final int GRAIN = 16;

  private TileSizes() {}

  /** Rows of a tile of a [rows, columns] result; the last tile may have fewer. */
  static int rows(int rows, int columns) {
    int tile = EDGE;
    int across = count(columns, EDGE);
    while (tile > LEAST_EDGE && count(rows, tile) * across < WANTED_TILES) {
      tile /= 2;
    }
    return even(rows, tile);
  }

  /** Columns of a tile of a result with so many columns. */
  static int columns(int columns) {
    return even(columns, EDGE);
  }

  /** {@code extent / tile}, rounded up. */
  static int count(int extent, int tile) {
    return (extent + tile - 1) / tile;
  }

  /** The tile that cuts the extent into equal parts, as few as tiles of {@code most} need. */
  static int even(int extent, int most) {
    int part = count(Math.max(extent, 1), count(Math.max(extent, 1), most));
    return Math.min(most, count(part, GRAIN) * GRAIN);
  }

  /**
   * The size of the piece that begins at {@code position} when {@code extent} is cut into the
   * fewest powers of two of at most {@code most}, a power of two itself: whatever the extents,
   * {@code log2(most) + 1} sizes occur.
   */
  static int powerOfTwoAt(int position, int extent, int most) {
    return Math.min(most, Integer.highestOneBit(extent - position));
  }
}
