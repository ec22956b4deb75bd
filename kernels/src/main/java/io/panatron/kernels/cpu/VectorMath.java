package io.panatron.kernels.cpu;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;

/** Functions of float vectors that the processor does not offer. */
final class VectorMath {
  /** The widest vectors of this processor: 16 lanes with AVX-512, 8 with AVX2. */
  static final VectorSpecies<Float> FLOATS = FloatVector.SPECIES_PREFERRED;

  /** As many integers as {@link #FLOATS} has lanes. */
  static final VectorSpecies<Integer> INTS = FLOATS.withLanes(int.class);

  /** Elements of one vector. */
  static final int LANES = FLOATS.length();

  private static final float LOG2_E = 1.442695f;

  /** ln 2 in two parts, so that {@code n ln 2} is exact to 48 bits. */
  private static final float LN2_HIGH = 0.6931472f;

  private static final float LN2_LOW = -1.9046542e-9f;

  /** Adding it leaves the nearest integer in the low bits of the sum. */
  private static final float ROUNDER = 0x1.8p23f;

  private static final int ROUNDER_BITS = Float.floatToRawIntBits(ROUNDER);

  /** e^x rounds to 0 below and to infinity above; inside, both powers of two below are normal. */
  private static final float LEAST_EXPONENT = -104f;

  private static final float GREATEST_EXPONENT = 89f;

  /**
   * Coefficients of {@code q} in {@code e^r = 1 + r + r^2 q(r)} for |r| up to ln 2 / 2:
   * interpolation at the Chebyshev nodes, 1e-8 off at most before rounding.
   */
  private static final float Q0 = 0.5f;

  private static final float Q1 = 0.16666576f;
  private static final float Q2 = 0.041666556f;
  private static final float Q3 = 0.008363203f;
  private static final float Q4 = 0.0013926213f;

  private static final VectorShuffle<Float> ROTATE_8 = VectorShuffle.iota(FLOATS, 8, 1, true);
  private static final VectorShuffle<Float> ROTATE_4 = VectorShuffle.iota(FLOATS, 4, 1, true);
  private static final VectorShuffle<Float> ROTATE_2 = VectorShuffle.iota(FLOATS, 2, 1, true);
  private static final VectorShuffle<Float> ROTATE_1 = VectorShuffle.iota(FLOATS, 1, 1, true);

  private VectorMath() {}

  /**
   * {@code y = e^(factor x)}, from the rounded product within 2 units in the last place, subnormal
   * results included; 0 at negative infinity, infinity above the range, NaN for NaN.
   *
   * <p>The loop calls nothing but vector operations, which are always inlined: where the compiler
   * tires of inlining, a call would put every vector into a heap object.
   *
   * @param x rows of {@link RowAccess}, as {@code y}, which may be the same
   */
  static void exp(float factor, float[] x, float[] y, int n) {
    FloatVector rounder = FloatVector.broadcast(FLOATS, ROUNDER);
    for (int i = 0; i < n; i += LANES) {
      FloatVector product = FloatVector.fromArray(FLOATS, x, i).mul(factor);
      // Not min and max: their care for signed zeros and NaN costs several instructions more.
      FloatVector clamped =
          product
              .blend(LEAST_EXPONENT, product.compare(VectorOperators.LT, LEAST_EXPONENT))
              .blend(GREATEST_EXPONENT, product.compare(VectorOperators.GT, GREATEST_EXPONENT));
      FloatVector shifted = clamped.fma(FloatVector.broadcast(FLOATS, LOG2_E), rounder);
      FloatVector whole = shifted.sub(rounder);
      FloatVector r =
          whole.fma(
              FloatVector.broadcast(FLOATS, -LN2_LOW),
              whole.fma(FloatVector.broadcast(FLOATS, -LN2_HIGH), clamped));
      FloatVector q =
          r.fma(FloatVector.broadcast(FLOATS, Q4), FloatVector.broadcast(FLOATS, Q3))
              .fma(r, FloatVector.broadcast(FLOATS, Q2))
              .fma(r, FloatVector.broadcast(FLOATS, Q1))
              .fma(r, FloatVector.broadcast(FLOATS, Q0));
      FloatVector power = q.fma(r.mul(r), r).add(1f);
      // Two factors, since 2^n alone may be subnormal or infinite while the product is not.
      IntVector exponent = shifted.reinterpretAsInts().sub(ROUNDER_BITS);
      IntVector half = exponent.lanewise(VectorOperators.ASHR, 1);
      IntVector otherHalf = exponent.sub(half);
      power
          .mul(half.add(127).lanewise(VectorOperators.LSHL, 23).reinterpretAsFloats())
          .mul(otherHalf.add(127).lanewise(VectorOperators.LSHL, 23).reinterpretAsFloats())
          .intoArray(y, i);
    }
  }

  /**
   * The sum of all lanes, always in the same order; {@code reduceLanes} leaves the order open, and
   * compiled and interpreted code differ in it.
   */
  static float sum(FloatVector x) {
    FloatVector folded = x;
    if (LANES > 8) {
      folded = folded.add(folded.rearrange(ROTATE_8));
    }
    if (LANES > 4) {
      folded = folded.add(folded.rearrange(ROTATE_4));
    }
    folded = folded.add(folded.rearrange(ROTATE_2));
    folded = folded.add(folded.rearrange(ROTATE_1));
    return folded.lane(0);
  }

  /**
   * The sum of the lanes that {@code intoArray} left in {@code x}. For kernels with room for them:
   * the compiler did not always inline {@link #sum} there, and its vectors went to the heap.
   */
  static float sumLanes(float[] x, int start) {
    float a = x[start];
    float b = x[start + 1];
    float c = x[start + 2];
    float d = x[start + 3];
    for (int lane = 4; lane < LANES; lane += 4) {
      a += x[start + lane];
      b += x[start + lane + 1];
      c += x[start + lane + 2];
      d += x[start + lane + 3];
    }
    return (a + b) + (c + d);
  }
}
