package io.panatron.runtime.model;

import java.lang.foreign.MemorySegment;

/**
 * A rectangle of a row-major matrix on the host, whatever its elements mean.
 *
 * @param width columns of the whole matrix
 */
record HostWindow(long firstRow, long rows, long firstColumn, long columns, long width) {

  /** Elements of the rectangle. */
  long elements() {
    return rows * columns;
  }

  /**
   * Copies the rectangle out of the matrix, its rows one behind the other.
   *
   * @param bytes of an element
   */
  void take(MemorySegment matrix, long bytes, MemorySegment packed) {
    for (long row = 0; row < runs(); row++) {
      MemorySegment.copy(matrix, at(row) * bytes, packed, row * run() * bytes, run() * bytes);
    }
  }

  /** Copies the rectangle back into the matrix. */
  void put(MemorySegment packed, long bytes, MemorySegment matrix) {
    for (long row = 0; row < runs(); row++) {
      MemorySegment.copy(packed, row * run() * bytes, matrix, at(row) * bytes, run() * bytes);
    }
  }

  /** Elements that lie together on both sides: all rows where they are whole. */
  private long run() {
    return columns == width ? elements() : columns;
  }

  private long runs() {
    return columns == width ? 1 : rows;
  }

  private long at(long run) {
    return (firstRow + run) * width + firstColumn;
  }
}
