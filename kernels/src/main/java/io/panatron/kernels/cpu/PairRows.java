package io.panatron.kernels.cpu;

import static io.panatron.kernels.cpu.RowAccess.padded;
import static io.panatron.kernels.cpu.VectorMath.FLOATS;
import static io.panatron.kernels.cpu.VectorMath.LANES;

import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorShuffle;

/** Rotates pairs of neighbours, for {@link HeadRows}; apart from it, since few models do. */
final class PairRows {
  /** Exchanges the lanes of each pair. */
  private static final VectorShuffle<Float> EXCHANGED =
      VectorShuffle.fromOp(FLOATS, lane -> lane ^ 1);

  private PairRows() {}

  /**
   * Gives both elements of each pair their factors, and 1 and 0 to those in the last vector that
   * are not rotated.
   *
   * @param cosines of {@code half} pairs, as {@code sines}; afterwards of {@code 2 half} elements
   * @param direction 1 forward, -1 back
   */
  static void repeat(float[] cosines, float[] sines, int direction, int half) {
    for (int i = half - 1; i >= 0; i--) {
      float cos = cosines[i];
      float sin = direction * sines[i];
      cosines[2 * i] = cos;
      cosines[2 * i + 1] = cos;
      sines[2 * i] = -sin;
      sines[2 * i + 1] = sin;
    }
    int end = padded(2 * half);
    Arrays.fill(cosines, 2 * half, end, 1f);
    Arrays.fill(sines, 2 * half, end, 0f);
  }

  /** {@code x = x cosines + x' sines}, where x' has the elements of each pair exchanged. */
  static void turn(float[] heads, int start, float[] cosines, float[] sines, int n) {
    for (int i = 0; i < n; i += LANES) {
      FloatVector x = FloatVector.fromArray(FLOATS, heads, start + i);
      x.mul(FloatVector.fromArray(FLOATS, cosines, i))
          .add(x.rearrange(EXCHANGED).mul(FloatVector.fromArray(FLOATS, sines, i)))
          .intoArray(heads, start + i);
    }
  }
}
