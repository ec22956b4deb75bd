package io.panatron.bindings.onednn;

/**
 * A multiplication {@code C = A B}, or {@code C = C + A B}, to make a primitive for. Equal
 * descriptions make interchangeable primitives, so it serves as the key of a cache.
 *
 * <p><b>Shapes</b> {@code a: [batch, m, k]}, {@code b: [batch, k, n]}, {@code c: [batch, m, n]}; a
 * factor may have batch 1.
 *
 * @param a left factor
 * @param b right factor; where {@code packedB} is true, the layout that it is packed from
 * @param c result, overlapping neither factor
 * @param accumulate adds to C instead of overwriting it
 * @param packedB B is given in the order that the kernel likes best, made by {@link
 *     MatmulPrimitive.Packing}
 * @param mode how inputs may be rounded
 */
public record MatmulDescription(
    Matrix a, Matrix b, Matrix c, boolean accumulate, boolean packedB, MathMode mode) {

  /** Checks that the three shapes fit. */
  public MatmulDescription {
    boolean batches =
        (a.batch() == c.batch() || a.batch() == 1) && (b.batch() == c.batch() || b.batch() == 1);
    if (!batches || a.rows() != c.rows() || a.columns() != b.rows() || b.columns() != c.columns()) {
      throw new IllegalArgumentException(
          "A %s and B %s do not multiply to C %s".formatted(a, b, c));
    }
    if (packedB && b.batch() != 1) {
      throw new IllegalArgumentException(
          "a packed B is one matrix, not a batch: B %s".formatted(b));
    }
  }

  /** {@code C = A B}, without rounding of the inputs. */
  public static MatmulDescription of(Matrix a, Matrix b, Matrix c) {
    return new MatmulDescription(a, b, c, false, false, MathMode.STRICT);
  }

  /** The same, adding to C. */
  public MatmulDescription accumulating() {
    return new MatmulDescription(a, b, c, true, packedB, mode);
  }

  /** The same, with B packed. */
  public MatmulDescription packingB() {
    return new MatmulDescription(a, b, c, accumulate, true, mode);
  }

  /** The same in another mode. */
  public MatmulDescription in(MathMode other) {
    return new MatmulDescription(a, b, c, accumulate, packedB, other);
  }

  /** Multiplications and additions of one execution. */
  public long flops() {
    return 2 * c.batch() * c.rows() * c.columns() * a.columns();
  }

  @Override
  public String toString() {
    return "A %s, B %s%s, C %s%s, %s"
        .formatted(a, b, packedB ? " packed" : "", c, accumulate ? " accumulated" : "", mode);
  }
}
