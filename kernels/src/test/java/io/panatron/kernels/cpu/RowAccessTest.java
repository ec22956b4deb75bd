package io.panatron.kernels.cpu;

import static io.panatron.kernels.cpu.VectorMath.LANES;
import static org.assertj.core.api.Assertions.assertThat;

import io.panatron.kernels.DType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

final class RowAccessTest {
  /** What is cut off: nothing, the least, and both sides of the tie. */
  private static final int[] LOWER_HALVES = {0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF};

  private static final float UNTOUCHED = -77;

  @Test
  void everyUpperHalfRoundsToTheNearestAndTiesToEven() {
    int count = 1 << 16;
    float[] x = new float[count];
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment rounded = arena.allocate(2L * count);
      for (int lower : LOWER_HALVES) {
        for (int upper = 0; upper < count; upper++) {
          x[upper] = Float.intBitsToFloat(upper << 16 | lower);
        }
        RowAccess.write(DType.BF16, x, rounded, 0, count);
        for (int upper = 0; upper < count; upper++) {
          checkRounded(x[upper], rounded.getAtIndex(ValueLayout.JAVA_SHORT, upper));
          checkRounded(x[upper], RowAccess.narrow(x[upper]));
        }
      }
    }
  }

  @Test
  void everyBf16ReadsBackExactly() {
    for (int bits = 0; bits < 1 << 16; bits++) {
      float value = Float.intBitsToFloat(bits << 16);
      assertThat(Float.floatToIntBits(RowAccess.widen((short) bits)))
          .isEqualTo(Float.floatToIntBits(value));
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"F32", "BF16", "F16"})
  void rowsOfEveryLengthMoveAndNothingElseDoes(DType dtype) {
    int most = 3 * LANES + 1;
    int bytes = dtype.bytes();
    try (Arena arena = Arena.ofConfined()) {
      for (int n = 0; n <= most; n++) {
        // Exact sizes: one element too far throws.
        MemorySegment from = arena.allocate((long) (n + 1) * bytes);
        MemorySegment to = arena.allocate((long) (n + 2) * bytes);
        float[] row = new float[LANES + RowAccess.padded(most)];
        Arrays.fill(row, UNTOUCHED);
        for (int i = 0; i < n; i++) {
          set(dtype, from, i + 1, i - 5f);
        }
        RowAccess.read(dtype, from, bytes, row, LANES, n);
        for (int i = 0; i < row.length - LANES; i++) {
          float expected = i < n ? i - 5f : i < RowAccess.padded(n) ? 0 : UNTOUCHED;
          assertThat(row[LANES + i]).isEqualTo(expected);
        }
        RowAccess.write(dtype, row, LANES, to, bytes, n);
        assertThat(get(dtype, to, 0)).isZero();
        assertThat(get(dtype, to, n + 1)).isZero();
        for (int i = 0; i < n; i++) {
          assertThat(get(dtype, to, i + 1)).isEqualTo(i - 5f);
        }
      }
    }
  }

  private static void checkRounded(float x, short bits) {
    float rounded = Float.intBitsToFloat(bits << 16);
    if (Float.isNaN(x)) {
      assertThat(rounded).isNaN();
      return;
    }
    int towardsZero = Float.floatToRawIntBits(x) >>> 16;
    double below = magnitude(towardsZero);
    double above = magnitude(towardsZero + 1);
    double size = Math.abs((double) x);
    boolean up =
        size - below > above - size || (size - below == above - size && towardsZero % 2 == 1);
    int expected = Float.isInfinite(x) || !up ? towardsZero : towardsZero + 1;
    if ((bits & 0xFFFF) != (expected & 0xFFFF)) {
      throw new AssertionError("%a became %a".formatted(x, rounded));
    }
  }

  /** The value of BF16 bits without their sign; 2^128 in the place of infinity. */
  private static double magnitude(int bits) {
    return (bits & 0x7FFF) == 0x7F80
        ? 0x1p128
        : Math.abs((double) Float.intBitsToFloat(bits << 16));
  }

  private static void set(DType dtype, MemorySegment segment, long index, float value) {
    ScalarAccess.write(dtype, segment, index, value);
  }

  private static float get(DType dtype, MemorySegment segment, long index) {
    return (float) ScalarAccess.read(dtype, segment, index);
  }
}
