package io.panatron.runtime.model;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * Consecutive rows of a rank's parameter, and where they lie in a Hugging Face tensor.
 *
 * @param part the tensor
 * @param row the first of the rows in the rank's parameter
 * @param partRow the first of them in the tensor, counted in rows of the parameter
 * @param rows how many
 * @param columns of the whole parameter that the rank has
 * @param width columns of the whole parameter, 1 for a vector
 */
record ShardPiece(
    ParameterLayout.Part part,
    long row,
    long partRow,
    long rows,
    TensorSplit.Range columns,
    long width) {

  /** Elements of the piece. */
  long elements() {
    return rows * columns.count();
  }

  /** Some of the rows. */
  ShardPiece rows(long first, long count) {
    return new ShardPiece(part, row + first, partRow + first, count, columns, width);
  }

  /**
   * Copies the piece out of the tensor, in the order of the parameter.
   *
   * @param transposed whether the tensor has the rows as its columns
   * @param bytes of an element
   */
  void take(MemorySegment tensor, boolean transposed, long bytes, MemorySegment packed) {
    if (!transposed) {
      window(false).take(tensor, bytes, packed);
      return;
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment turned = arena.allocate(Math.max(elements() * bytes, 1), 8);
      window(true).take(tensor, bytes, turned);
      turn(turned, columns.count(), rows, bytes, packed);
    }
  }

  /** Copies the piece into the tensor. */
  void put(MemorySegment packed, boolean transposed, long bytes, MemorySegment tensor) {
    if (!transposed) {
      window(false).put(packed, bytes, tensor);
      return;
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment turned = arena.allocate(Math.max(elements() * bytes, 1), 8);
      turn(packed, rows, columns.count(), bytes, turned);
      window(true).put(turned, bytes, tensor);
    }
  }

  private HostWindow window(boolean transposed) {
    return transposed
        ? new HostWindow(columns.first(), columns.count(), partRow, rows, part.rows())
        : new HostWindow(partRow, rows, columns.first(), columns.count(), width);
  }

  /** Transposes a matrix of {@code high} rows. */
  private static void turn(MemorySegment from, long high, long wide, long bytes, MemorySegment to) {
    int rows = Math.toIntExact(high);
    int columns = Math.toIntExact(wide);
    TransposedMatrix.columns(from, rows, columns, 0, columns, bytes, to);
  }
}
