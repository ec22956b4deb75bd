package io.panatron.bindings.onednn;

/**
 * Where the elements of a matrix, or of a batch of matrices, lie in memory. Element (i, r, c) is at
 * {@code i * batchStride + r * rowStride + c * columnStride} elements from the start.
 *
 * @param type element type
 * @param batch number of matrices, 1 for a single one; a factor with 1 is used for every matrix of
 *     the others' batch
 * @param rows rows of each matrix
 * @param columns columns of each matrix
 * @param batchStride elements from one matrix to the next; without meaning where {@code batch} is 1
 * @param rowStride elements from one row to the next
 * @param columnStride elements from one column to the next; this or {@code rowStride} is 1
 */
public record Matrix(
    ElementType type,
    long batch,
    long rows,
    long columns,
    long batchStride,
    long rowStride,
    long columnStride) {

  /** Checks that sizes are positive and rows or columns are dense. */
  public Matrix {
    if (batch < 1 || rows < 1 || columns < 1) {
      throw new IllegalArgumentException(
          "a matrix of [%d, %d, %d] has no elements; skip the multiplication"
              .formatted(batch, rows, columns));
    }
    if (batchStride < 0
        || rowStride < 1
        || columnStride < 1
        || (rowStride != 1 && columnStride != 1)) {
      throw new IllegalArgumentException(
          ("strides [%d, %d, %d] of a matrix [%d, %d, %d] must be positive,"
                  + " and rows or columns dense")
              .formatted(batchStride, rowStride, columnStride, batch, rows, columns));
    }
  }

  /** A dense matrix, [rows, columns]. */
  public static Matrix of(ElementType type, long rows, long columns) {
    return of(type, rows, columns, columns);
  }

  /**
   * A matrix [rows, columns] whose rows start {@code rowStride} elements apart: a part of a wider
   * matrix.
   */
  public static Matrix of(ElementType type, long rows, long columns, long rowStride) {
    return new Matrix(type, 1, rows, columns, 0, rowStride, 1);
  }

  /** The same memory read as [columns, rows]. */
  public Matrix transposed() {
    return new Matrix(type, batch, columns, rows, batchStride, columnStride, rowStride);
  }

  /** {@code count} such matrices, {@code stride} elements apart. */
  public Matrix batched(long count, long stride) {
    return new Matrix(type, count, rows, columns, stride, rowStride, columnStride);
  }

  /** Bytes from one matrix of the batch to the next; 0 where one matrix serves the whole batch. */
  long batchBytes() {
    return batch == 1 ? 0 : batchStride * type.bytes();
  }

  @Override
  public String toString() {
    return "%s[%d, %d, %d] strides [%d, %d, %d]"
        .formatted(type, batch, rows, columns, batchStride, rowStride, columnStride);
  }
}
