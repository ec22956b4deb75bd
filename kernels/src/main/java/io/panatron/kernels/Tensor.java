package io.panatron.kernels;

/**
 * An immutable handle on dense row-major elements in a {@link Buffer}.
 *
 * <p>A handle owns nothing: the {@link MemoryScope} that allocated the buffer does.
 *
 * @param offset where the first element lies in the buffer, in bytes
 */
public record Tensor(Buffer buffer, long offset, Shape shape, DType dtype) {
  public Tensor {
    long end = Math.addExact(offset, Math.multiplyExact(shape.elements(), (long) dtype.bytes()));
    if (offset < 0 || end > buffer.bytes()) {
      throw new IndexOutOfBoundsException(
          "tensor "
              + shape
              + " "
              + dtype
              + " at byte "
              + offset
              + " leaves its buffer of "
              + buffer.bytes()
              + " bytes");
    }
  }

  public long elements() {
    return shape.elements();
  }

  public long bytes() {
    return shape.elements() * dtype.bytes();
  }

  /** Device address of the first element. */
  public long address() {
    return buffer.address() + offset;
  }

  /** The same elements under another shape of equal size. */
  public Tensor reshape(long... extents) {
    Shape other = Shape.of(extents);
    if (other.elements() != shape.elements()) {
      throw new IllegalArgumentException("cannot read " + shape + " as " + other);
    }
    return new Tensor(buffer, offset, other, dtype);
  }

  /** {@code count} consecutive entries of the leading axis, starting at {@code first}. */
  public Tensor slice(long first, long count) {
    long leading = shape.extent(0);
    if (first < 0 || count < 0 || first + count > leading) {
      throw new IndexOutOfBoundsException(
          "rows " + first + " to " + (first + count) + " of " + shape);
    }
    long stride = leading == 0 ? 0 : shape.elements() / leading * dtype.bytes();
    return new Tensor(buffer, offset + first * stride, shape.withLeading(count), dtype);
  }

  @Override
  public String toString() {
    return dtype + shape.toString();
  }
}
