package io.panatron.kernels.cpu;

import static io.panatron.kernels.cpu.VectorMath.FLOATS;
import static io.panatron.kernels.cpu.VectorMath.LANES;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.function.UnaryOperator;
import jdk.incubator.vector.FloatVector;
import org.junit.jupiter.api.Test;

final class VectorMathTest {
  /** A prime, so that the floats visited differ in all their low bits; 1.7 million of each sign. */
  private static final int STEP = 1259;

  @Test
  void expIsWithinTwoUnitsInTheLastPlaceOverItsWholeRange() {
    double worst = 0;
    for (long bits = 0; bits <= 0x7F80_0000L - (long) LANES * STEP; bits += (long) LANES * STEP) {
      for (int sign : new int[] {0, 1 << 31}) {
        float[] x = new float[LANES];
        for (int lane = 0; lane < LANES; lane++) {
          x[lane] = Float.intBitsToFloat((int) (bits + (long) lane * STEP) | sign);
        }
        float[] y = map(VectorMath::exp, x);
        for (int lane = 0; lane < LANES; lane++) {
          worst = Math.max(worst, unitsOff(y[lane], Math.exp(x[lane])));
        }
      }
    }
    assertThat(worst).isLessThanOrEqualTo(2);
  }

  @Test
  void expKeepsItsLimits() {
    assertThat(exp(0f)).isEqualTo(1f);
    assertThat(exp(-0f)).isEqualTo(1f);
    assertThat(exp(Float.NEGATIVE_INFINITY)).isEqualTo(0f);
    assertThat(exp(-Float.MAX_VALUE)).isEqualTo(0f);
    assertThat(exp(-104f)).isEqualTo(0f);
    assertThat(exp(-103f)).isEqualTo(Float.MIN_VALUE);
    assertThat(exp(88.72283f)).isFinite();
    assertThat(exp(88.72284f)).isEqualTo(Float.POSITIVE_INFINITY);
    assertThat(exp(Float.POSITIVE_INFINITY)).isEqualTo(Float.POSITIVE_INFINITY);
    assertThat(exp(Float.NaN)).isNaN();
  }

  @Test
  void sigmoidIsWithinFourUnitsWhereItIsNormal() {
    double worst = 0;
    for (float x = -87; x < 87; x += 0.001f * LANES) {
      float[] xs = new float[LANES];
      for (int lane = 0; lane < LANES; lane++) {
        xs[lane] = x + 0.001f * lane;
      }
      float[] ys = map(VectorMath::sigmoid, xs);
      for (int lane = 0; lane < LANES; lane++) {
        worst = Math.max(worst, unitsOff(ys[lane], 1 / (1 + Math.exp(-(double) xs[lane]))));
      }
    }
    // Two from the exponential, one half each from the addition and the division, and slack.
    assertThat(worst).isLessThanOrEqualTo(4);
  }

  @Test
  void sigmoidKeepsItsLimits() {
    assertThat(sigmoid(0f)).isEqualTo(0.5f);
    assertThat(sigmoid(1000f)).isEqualTo(1f);
    assertThat(sigmoid(Float.POSITIVE_INFINITY)).isEqualTo(1f);
    assertThat(sigmoid(-1000f)).isEqualTo(0f);
    assertThat(sigmoid(Float.NEGATIVE_INFINITY)).isEqualTo(0f);
    assertThat(sigmoid(Float.NaN)).isNaN();
  }

  @Test
  void sumAddsEveryLaneOnce() {
    float[] x = new float[LANES];
    for (int lane = 0; lane < LANES; lane++) {
      x[lane] = 1 << lane;
    }
    assertThat(VectorMath.sum(FloatVector.fromArray(FLOATS, x, 0))).isEqualTo((1 << LANES) - 1);
  }

  private static float exp(float x) {
    return map(VectorMath::exp, x)[0];
  }

  private static float sigmoid(float x) {
    return map(VectorMath::sigmoid, x)[0];
  }

  /** Applies the function to the values, repeated or not to fill a vector. */
  private static float[] map(UnaryOperator<FloatVector> function, float... x) {
    FloatVector in =
        x.length == 1
            ? FloatVector.broadcast(FLOATS, x[0])
            : FloatVector.fromArray(FLOATS, x, 0);
    float[] y = new float[LANES];
    function.apply(in).intoArray(y, 0);
    return y;
  }

  /** The distance in units of the last place of the true value, as a float has it. */
  private static double unitsOff(float actual, double expected) {
    if (expected >= 0x1.fffffffp127 || Float.isInfinite(actual)) {
      return Float.isInfinite(actual) && expected > 0x1.fffff8p127 ? 0 : Double.POSITIVE_INFINITY;
    }
    return Math.abs(actual - expected) / Math.ulp((float) expected);
  }
}
