package io.panatron.kernels.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import io.panatron.kernels.DType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/** The JDK's own conversion is the expectation; it is not used where vectors are. */
final class Float16RowsTest {
  private static final int COUNT = 1 << 16;

  @Test
  void everyHalfIsWidenedExactly() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment halves = arena.allocate(2L * COUNT, 8);
      MemorySegment wide = arena.allocate(4L * COUNT, 8);
      for (int bits = 0; bits < COUNT; bits++) {
        halves.setAtIndex(ValueLayout.JAVA_SHORT, bits, (short) bits);
      }
      float[] row = new float[COUNT];
      RowAccess.read(DType.F16, halves, 0, row, COUNT);
      TileRows.read(DType.F16, halves, 0, wide, 0, COUNT, 1);
      for (int bits = 0; bits < COUNT; bits++) {
        float expected = Float.float16ToFloat((short) bits);
        checkSame(bits, row[bits], expected);
        checkSame(bits, wide.getAtIndex(ValueLayout.JAVA_FLOAT, bits), expected);
      }
    }
  }

  /** All upper halves of a float with lower halves on both sides of every tie of F16. */
  @Test
  void floatsAreRoundedToTheNearestAndTiesToEven() {
    SplittableRandom random = new SplittableRandom(5);
    int[] lowerHalves = {0, 1, 0x0FFF, 0x1000, 0x1001, 0x2FFF, 0x3000, 0x8000, 0xF000, 0xFFFF};
    float[] x = new float[COUNT];
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment wide = arena.allocate(4L * COUNT, 8);
      MemorySegment rows = arena.allocate(2L * COUNT, 8);
      MemorySegment tiles = arena.allocate(2L * COUNT, 8);
      for (int round = 0; round < lowerHalves.length + 4; round++) {
        for (int upper = 0; upper < COUNT; upper++) {
          int lower = round < lowerHalves.length ? lowerHalves[round] : random.nextInt() & 0xFFFF;
          x[upper] = Float.intBitsToFloat(upper << 16 | lower);
          wide.setAtIndex(ValueLayout.JAVA_FLOAT, upper, x[upper]);
        }
        RowAccess.write(DType.F16, x, rows, 0, COUNT);
        TileRows.write(DType.F16, wide, 0, tiles, 0, COUNT, 1);
        for (int i = 0; i < COUNT; i++) {
          checkRounded(x[i], rows.getAtIndex(ValueLayout.JAVA_SHORT, i));
          checkRounded(x[i], tiles.getAtIndex(ValueLayout.JAVA_SHORT, i));
        }
      }
    }
  }

  @Test
  void tilesAreScaledOnTheirWay() {
    int count = 3 * VectorMath.LANES + 1;
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment wide = arena.allocate(4L * (count + 2), 8);
      MemorySegment halves = arena.allocate(2L * (count + 2), 8);
      for (int i = 0; i < count; i++) {
        wide.setAtIndex(ValueLayout.JAVA_FLOAT, i + 1, i - 5);
      }
      TileRows.write(DType.F16, wide, 1, halves, 1, count, 0.5f);
      TileRows.read(DType.F16, halves, 1, wide, 1, count, 4);
      for (int i = 0; i < count; i++) {
        assertThat(wide.getAtIndex(ValueLayout.JAVA_FLOAT, i + 1)).isEqualTo(2 * (i - 5f));
      }
      assertThat(halves.getAtIndex(ValueLayout.JAVA_SHORT, 0)).isZero();
      assertThat(halves.getAtIndex(ValueLayout.JAVA_SHORT, count + 1)).isZero();
      assertThat(wide.getAtIndex(ValueLayout.JAVA_FLOAT, count + 1)).isZero();
    }
  }

  private static void checkSame(int bits, float actual, float expected) {
    boolean same =
        Float.isNaN(expected)
            ? Float.isNaN(actual)
            : Float.floatToRawIntBits(actual) == Float.floatToRawIntBits(expected);
    if (!same) {
      throw new AssertionError("%x became %a, not %a".formatted(bits, actual, expected));
    }
  }

  private static void checkRounded(float x, short actual) {
    short expected = Float.floatToFloat16(x);
    boolean same = Float.isNaN(x) ? Float.isNaN(Float.float16ToFloat(actual)) : actual == expected;
    if (!same) {
      throw new AssertionError(
          "%a became %x, not %x".formatted(x, actual & 0xFFFF, expected & 0xFFFF));
    }
  }
}
