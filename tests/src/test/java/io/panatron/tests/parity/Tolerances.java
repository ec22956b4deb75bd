package io.panatron.tests.parity;

import io.panatron.kernels.DType;

/**
 * How far a backend may be from the reference, and why.
 *
 * <p>The unit roundoff of F32 is 2^-24, of F16 2^-11, of BF16 2^-8. Inputs are rounded before both
 * backends see them, so what remains is the tested backend's own rounding.
 */
final class Tolerances {
  private static final double F32 = 0x1p-24;
  private static final double BF16 = 0x1p-8;
  private static final double F16 = 0x1p-11;

  private Tolerances() {}

  /**
   * A bound on {@code |tested - expected|} for each element, {@code element |expected| + row (root
   * mean square of the row)}, and on the norm of the whole difference, {@code norm |expected|}.
   */
  record Tolerance(double element, double row, double norm) {
    Tolerance plus(Tolerance other) {
      return new Tolerance(element + other.element, row + other.row, norm + other.norm);
    }
  }

  /** Bits moved, not computed. */
  static final Tolerance EXACT = new Tolerance(0, 0, 0);

  /**
   * Squares and sums in double of at most a million terms lose at most 20 of 53 bits, in practice
   * 4.
   */
  static final Tolerance DOUBLE_SUM = new Tolerance(1e-12, 0, 1e-12);

  /**
   * F32 sums of up to 1,100 products, in any order: rounding errors add like a random walk to about
   * sqrt(1100) 2^-24 = 2e-6 of the row's scale; five times that for the largest of 10^5 elements.
   */
  private static final Tolerance F32_SUM = new Tolerance(4 * F32, 1e-5, 3e-6);

  /**
   * A few F32 operations and one exponential, whose argument up to 90 is itself rounded: 90 2^-24 =
   * 5e-6. Results below 10^-7 of their row may flush to zero.
   */
  private static final Tolerance F32_POINTWISE = new Tolerance(1e-5, 1e-7, 5e-6);

  /** One to three correctly rounded F32 operations without cancellation. */
  private static final Tolerance F32_FEW = new Tolerance(4 * F32, 0, 4 * F32);

  /** The result is rounded once more, to the dtype it is stored in. */
  private static Tolerance storedAs(DType dtype) {
    return switch (dtype) {
      case BF16 -> new Tolerance(1.01 * BF16, 0, 1.01 * BF16);
      case F16 -> new Tolerance(1.01 * F16, 0, 1.01 * F16);
      default -> new Tolerance(F32, 0, F32);
    };
  }

  /**
   * Half the distance of the least numbers that a dtype stores, which rounding may cost besides:
   * results in F16 are often that small.
   */
  static double leastRounding(DType dtype) {
    return dtype == DType.F16 ? 0x1p-25 : 0;
  }

  /** Sums of products kept in F32 and stored once. */
  static Tolerance sum(DType stored) {
    return F32_SUM.plus(storedAs(stored));
  }

  /** Element-wise formulas in F32, stored once. */
  static Tolerance pointwise(DType stored) {
    return F32_POINTWISE.plus(storedAs(stored));
  }

  /** One multiplication or addition, stored once. */
  static Tolerance few(DType stored) {
    return F32_FEW.plus(storedAs(stored));
  }

  /**
   * Products of two matrices of which one was computed inside the operation (probabilities,
   * gradients of logits) and rounded to the compute dtype, as matrix engines ask: each term is off
   * by at most the unit roundoff, their sum by about as much of the row's scale, six times that for
   * the largest of 10^5 elements.
   */
  static Tolerance insideRounded(DType compute, DType stored) {
    return switch (compute) {
      case BF16 -> sum(stored).plus(new Tolerance(BF16, 6 * BF16, 1.5 * BF16));
      case F16 -> sum(stored).plus(new Tolerance(F16, 6 * F16, 1.5 * F16));
      default -> sum(stored);
    };
  }

  /**
   * What F32 arithmetic on terms of size {@code magnitude} may leave where they cancel: four
   * roundings. It decides where logits are so large that a rounded exponent shows, or where all
   * terms cancel.
   */
  static double cancellation(double magnitude) {
    return 4 * F32 * magnitude;
  }
}
