package io.panatron.kernels.cpu;

import static io.panatron.kernels.cpu.VectorMath.FLOATS;
import static io.panatron.kernels.cpu.VectorMath.LANES;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;

/**
 * Activation functions and their slopes on rows of {@link RowBuffers}.
 *
 * <p>The normal distribution is {@code Phi(-|x|) = e^(-x^2 / 2) t q(t)} with {@code t = 1 / (1 +
 * 0.38 |x| / sqrt(2))}: {@code q} fits half the scaled complementary error function with a relative
 * error of 2e-8, before rounding, so that the tail keeps its digits too.
 */
final class ActivationRows {
  private static final float STRETCHING = 0.26870057f;
  private static final float Q0 = 0.5f * 0.2144109308719635f;
  private static final float Q1 = 0.5f * 0.21391986310482025f;
  private static final float Q2 = 0.5f * 0.20390312373638153f;
  private static final float Q3 = 0.5f * 0.1386621743440628f;
  private static final float Q4 = 0.5f * 0.23000012338161469f;
  private static final float Q5 = 0.5f * -0.16142788529396057f;
  private static final float Q6 = 0.5f * 0.3638377785682678f;
  private static final float Q7 = 0.5f * -0.2622711956501007f;
  private static final float Q8 = 0.5f * 0.05896509811282158f;

  /** {@code 1 / sqrt(2 pi)}: the normal density is this times {@code e^(-x^2 / 2)}. */
  private static final float DENSITY = 0.3989423f;

  private ActivationRows() {}

  /** {@code to = factor x^2}. */
  static void squares(float[] x, float[] to, float factor, int n) {
    for (int i = 0; i < n; i += LANES) {
      FloatVector value = FloatVector.fromArray(FLOATS, x, i);
      value.mul(value).mul(factor).intoArray(to, i);
    }
  }

  /** {@code to = linear x + cubic x^3}. */
  static void cubic(float[] x, float[] to, float linear, float cubic, int n) {
    FloatVector first = FloatVector.broadcast(FLOATS, linear);
    for (int i = 0; i < n; i += LANES) {
      FloatVector value = FloatVector.fromArray(FLOATS, x, i);
      value.mul(value).mul(cubic).add(first).mul(value).intoArray(to, i);
    }
  }

  /** {@code x = x Phi(x)}, given {@code e^(-x^2 / 2)}. */
  static void normal(float[] x, float[] exponential, int n) {
    FloatVector one = FloatVector.broadcast(FLOATS, 1f);
    for (int i = 0; i < n; i += LANES) {
      FloatVector value = FloatVector.fromArray(FLOATS, x, i);
      FloatVector t = one.div(value.abs().mul(STRETCHING).add(one));
      FloatVector tail =
          t.fma(FloatVector.broadcast(FLOATS, Q8), FloatVector.broadcast(FLOATS, Q7))
              .fma(t, FloatVector.broadcast(FLOATS, Q6))
              .fma(t, FloatVector.broadcast(FLOATS, Q5))
              .fma(t, FloatVector.broadcast(FLOATS, Q4))
              .fma(t, FloatVector.broadcast(FLOATS, Q3))
              .fma(t, FloatVector.broadcast(FLOATS, Q2))
              .fma(t, FloatVector.broadcast(FLOATS, Q1))
              .fma(t, FloatVector.broadcast(FLOATS, Q0))
              .mul(t)
              .mul(FloatVector.fromArray(FLOATS, exponential, i));
      VectorMask<Float> upper = value.compare(VectorOperators.GE, 0f);
      value.mul(tail.blend(one.sub(tail), upper)).intoArray(x, i);
    }
  }

  /** {@code dy *= Phi(x) + x phi(x)}, given {@code e^(-x^2 / 2)}. */
  static void normalGradient(float[] x, float[] exponential, float[] dy, int n) {
    FloatVector one = FloatVector.broadcast(FLOATS, 1f);
    for (int i = 0; i < n; i += LANES) {
      FloatVector value = FloatVector.fromArray(FLOATS, x, i);
      FloatVector power = FloatVector.fromArray(FLOATS, exponential, i);
      FloatVector t = one.div(value.abs().mul(STRETCHING).add(one));
      FloatVector tail =
          t.fma(FloatVector.broadcast(FLOATS, Q8), FloatVector.broadcast(FLOATS, Q7))
              .fma(t, FloatVector.broadcast(FLOATS, Q6))
              .fma(t, FloatVector.broadcast(FLOATS, Q5))
              .fma(t, FloatVector.broadcast(FLOATS, Q4))
              .fma(t, FloatVector.broadcast(FLOATS, Q3))
              .fma(t, FloatVector.broadcast(FLOATS, Q2))
              .fma(t, FloatVector.broadcast(FLOATS, Q1))
              .fma(t, FloatVector.broadcast(FLOATS, Q0))
              .mul(t)
              .mul(power);
      VectorMask<Float> upper = value.compare(VectorOperators.GE, 0f);
      value
          .mul(power)
          .mul(DENSITY)
          .add(tail.blend(one.sub(tail), upper))
          .mul(FloatVector.fromArray(FLOATS, dy, i))
          .intoArray(dy, i);
    }
  }

  /** {@code x = x sigmoid(u)}, given {@code e^-u}. */
  static void sigmoid(float[] x, float[] exponential, int n) {
    for (int i = 0; i < n; i += LANES) {
      FloatVector.fromArray(FLOATS, x, i)
          .div(FloatVector.fromArray(FLOATS, exponential, i).add(1f))
          .intoArray(x, i);
    }
  }

  /** {@code dy *= s + x s (1 - s) (slope + curve x^2)} with {@code s = sigmoid(u)}. */
  static void sigmoidGradient(
      float[] x, float[] exponential, float[] dy, float slope, float curve, int n) {
    FloatVector one = FloatVector.broadcast(FLOATS, 1f);
    for (int i = 0; i < n; i += LANES) {
      FloatVector value = FloatVector.fromArray(FLOATS, x, i);
      FloatVector s = one.div(FloatVector.fromArray(FLOATS, exponential, i).add(one));
      // From the left: s or 1 - s is 0 where the cube of x is infinite.
      value
          .mul(s)
          .mul(one.sub(s))
          .mul(value.mul(value).mul(curve).add(slope))
          .add(s)
          .mul(FloatVector.fromArray(FLOATS, dy, i))
          .intoArray(dy, i);
    }
  }

  /** {@code x = linear r + square r^2} with {@code r = max(x, 0)}. */
  static void rectify(float[] x, float linear, float square, int n) {
    for (int i = 0; i < n; i += LANES) {
      FloatVector r = FloatVector.fromArray(FLOATS, x, i).max(0f);
      r.mul(square).add(linear).mul(r).intoArray(x, i);
    }
  }

  /** {@code dy *= step + slope x} where {@code x > 0}, and 0 elsewhere. */
  static void rectifyGradient(float[] x, float[] dy, float step, float slope, int n) {
    FloatVector zero = FloatVector.zero(FLOATS);
    for (int i = 0; i < n; i += LANES) {
      FloatVector value = FloatVector.fromArray(FLOATS, x, i);
      FloatVector d = value.mul(slope).add(step).mul(FloatVector.fromArray(FLOATS, dy, i));
      zero.blend(d, value.compare(VectorOperators.GT, zero)).intoArray(dy, i);
    }
  }
}
