package io.panatron.kernels;

import java.util.Arrays;
import java.util.stream.Collectors;

/** The extents of a dense row-major tensor; the last one varies fastest. */
public final class Shape {
  private final long[] extents;
  private final long elements;

  private Shape(long[] extents) {
    long product = 1;
    for (long extent : extents) {
      if (extent < 0) {
        throw new IllegalArgumentException("negative extent in " + Arrays.toString(extents));
      }
      product = Math.multiplyExact(product, extent);
    }
    this.extents = extents;
    this.elements = product;
  }

  public static Shape of(long... extents) {
    return new Shape(extents.clone());
  }

  public int rank() {
    return extents.length;
  }

  public long extent(int axis) {
    return extents[axis];
  }

  public long elements() {
    return elements;
  }

  /** The last extent: the length of one row when the tensor is read as a matrix. */
  public int columns() {
    return Math.toIntExact(extents[extents.length - 1]);
  }

  /** The product of all extents but the last: the number of rows when read as a matrix. */
  public int rows() {
    long rows = 1;
    for (int axis = 0; axis < extents.length - 1; axis++) {
      rows *= extents[axis];
    }
    return Math.toIntExact(rows);
  }

  /** The same shape with another leading extent. */
  public Shape withLeading(long extent) {
    long[] copy = extents.clone();
    copy[0] = extent;
    return new Shape(copy);
  }

  public long[] toArray() {
    return extents.clone();
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Shape shape && Arrays.equals(extents, shape.extents);
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(extents);
  }

  @Override
  public String toString() {
    return Arrays.stream(extents)
        .mapToObj(Long::toString)
        .collect(Collectors.joining(", ", "[", "]"));
  }
}
