package io.panatron.kernels.cpu;

import static io.panatron.kernels.cpu.VectorMath.FLOATS;
import static io.panatron.kernels.cpu.VectorMath.LANES;

import jdk.incubator.vector.FloatVector;

/**
 * RMS norm and its gradient on rows of {@link RowBuffers}; a row may start at any place of a longer
 * one if its length is a multiple of the vector length. The spare vector at the end of {@code x}
 * holds the lanes of a sum.
 */
final class NormRows {
  private NormRows() {}

  /** {@code into += x}. */
  static void add(float[] x, float[] into, int n) {
    for (int i = 0; i < n; i += LANES) {
      FloatVector.fromArray(FLOATS, into, i)
          .add(FloatVector.fromArray(FLOATS, x, i))
          .intoArray(into, i);
    }
  }

  /** {@code 1 / sqrt(mean of x^2 + epsilon)}. */
  static float reciprocalRoot(float[] x, int start, int n, double epsilon) {
    FloatVector squares = FloatVector.zero(FLOATS);
    for (int i = 0; i < n; i += LANES) {
      FloatVector value = FloatVector.fromArray(FLOATS, x, start + i);
      squares = value.fma(value, squares);
    }
    int lanes = x.length - LANES;
    squares.intoArray(x, lanes);
    return (float) (1 / Math.sqrt((double) VectorMath.sumLanes(x, lanes) / n + epsilon));
  }

  /** {@code x *= rstd weight}. */
  static void scale(float[] x, int start, float rstd, float[] weight, int n) {
    for (int i = 0; i < n; i += LANES) {
      FloatVector.fromArray(FLOATS, x, start + i)
          .mul(rstd)
          .mul(FloatVector.fromArray(FLOATS, weight, i))
          .intoArray(x, start + i);
    }
  }

  /**
   * With {@code n = x rstd}: adds {@code dy n} to {@code sums} and turns {@code dy} into {@code
   * rstd (dy weight - n mean(dy weight n))}. {@code x} becomes {@code n}.
   */
  static void gradient(
      float[] x,
      int start,
      float rstd,
      float[] weight,
      float[] dy,
      int dyStart,
      float[] sums,
      int n) {
    FloatVector product = FloatVector.zero(FLOATS);
    for (int i = 0; i < n; i += LANES) {
      FloatVector normed = FloatVector.fromArray(FLOATS, x, start + i).mul(rstd);
      FloatVector d = FloatVector.fromArray(FLOATS, dy, dyStart + i);
      FloatVector g = d.mul(FloatVector.fromArray(FLOATS, weight, i));
      d.fma(normed, FloatVector.fromArray(FLOATS, sums, i)).intoArray(sums, i);
      product = g.fma(normed, product);
      normed.intoArray(x, start + i);
      g.intoArray(dy, dyStart + i);
    }
    int lanes = x.length - LANES;
    product.intoArray(x, lanes);
    FloatVector slope = FloatVector.broadcast(FLOATS, -VectorMath.sumLanes(x, lanes) / n);
    for (int i = 0; i < n; i += LANES) {
      FloatVector.fromArray(FLOATS, x, start + i)
          .fma(slope, FloatVector.fromArray(FLOATS, dy, dyStart + i))
          .mul(rstd)
          .intoArray(dy, dyStart + i);
    }
  }
}
