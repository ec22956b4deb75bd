package io.panatron.kernels.cpu;

import static io.panatron.kernels.cpu.VectorMath.FLOATS;
import static io.panatron.kernels.cpu.VectorMath.LANES;
import static org.assertj.core.api.Assertions.assertThat;

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
        float[] y = new float[LANES];
        VectorMath.exp(1, x, y, LANES);
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
  void sumAddsEveryLaneOnce() {
    float[] x = new float[LANES + 1];
    for (int lane = 0; lane < LANES; lane++) {
      x[lane + 1] = 1 << lane;
    }
    assertThat(VectorMath.sumLanes(x, 1)).isEqualTo((1 << LANES) - 1);
    assertThat(VectorMath.sum(FloatVector.fromArray(FLOATS, x, 1))).isEqualTo((1 << LANES) - 1);
  }

  private static float exp(float x) {
    float[] row = new float[LANES];
    row[0] = -x;
    VectorMath.exp(-1, row, row, 1);
    return row[0];
  }

  /** The distance in units of the last place of the true value, as a float has it. */
  private static double unitsOff(float actual, double expected) {
    if (expected >= 0x1.fffffffp127 || Float.isInfinite(actual)) {
      return Float.isInfinite(actual) && expected > 0x1.fffff8p127 ? 0 : Double.POSITIVE_INFINITY;
    }
    return Math.abs(actual - expected) / Math.ulp((float) expected);
  }
}
