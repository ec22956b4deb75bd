package io.panatron.runtime.model;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Copies columns of a row-major matrix on the host, whatever its elements mean. */
final class TransposedMatrix {
  /** Rows and columns of a block: it and its copy stay in the L1 cache. */
  private static final int BLOCK = 32;

  private TransposedMatrix() {}

  /**
   * Writes columns one after another: {@code to[(c - firstColumn) rows + r] = from[r columns + c]}.
   *
   * @param bytes of an element: 2, 4 or 8
   */
  static void columns(
      MemorySegment from,
      int rows,
      int columns,
      int firstColumn,
      int count,
      long bytes,
      MemorySegment to) {
    for (int c = 0; c < count; c += BLOCK) {
      int lastColumn = Math.min(c + BLOCK, count);
      for (int r = 0; r < rows; r += BLOCK) {
        int lastRow = Math.min(r + BLOCK, rows);
        for (int column = c; column < lastColumn; column++) {
          long target = (long) column * rows + r;
          long source = (long) r * columns + firstColumn + column;
          copy(from, source, columns, to, target, lastRow - r, bytes);
        }
      }
    }
  }

  /** Copies {@code count} elements that lie {@code stride} apart; positions in elements. */
  private static void copy(
      MemorySegment from,
      long source,
      int stride,
      MemorySegment to,
      long target,
      int count,
      long bytes) {
    switch ((int) bytes) {
      case 2 -> {
        for (int i = 0; i < count; i++) {
          short value =
              from.get(ValueLayout.JAVA_SHORT_UNALIGNED, 2 * (source + (long) i * stride));
          to.set(ValueLayout.JAVA_SHORT_UNALIGNED, 2 * (target + i), value);
        }
      }
      case 4 -> {
        for (int i = 0; i < count; i++) {
          int value = from.get(ValueLayout.JAVA_INT_UNALIGNED, 4 * (source + (long) i * stride));
          to.set(ValueLayout.JAVA_INT_UNALIGNED, 4 * (target + i), value);
        }
      }
      case 8 -> {
        for (int i = 0; i < count; i++) {
          long value = from.get(ValueLayout.JAVA_LONG_UNALIGNED, 8 * (source + (long) i * stride));
          to.set(ValueLayout.JAVA_LONG_UNALIGNED, 8 * (target + i), value);
        }
      }
      default -> throw new IllegalArgumentException("elements of " + bytes + " bytes");
    }
  }
}
