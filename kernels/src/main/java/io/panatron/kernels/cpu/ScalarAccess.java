package io.panatron.kernels.cpu;

import io.panatron.kernels.DType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Single elements of any floating dtype, for the conversions that are too rare for vectors. */
final class ScalarAccess {
  private ScalarAccess() {}

  static double read(DType dtype, MemorySegment from, long index) {
    return switch (dtype) {
      case F64 -> from.get(ValueLayout.JAVA_DOUBLE_UNALIGNED, 8 * index);
      case F32 -> from.get(ValueLayout.JAVA_FLOAT_UNALIGNED, 4 * index);
      case BF16 -> RowAccess.widen(from.get(ValueLayout.JAVA_SHORT_UNALIGNED, 2 * index));
      case F16 -> Float.float16ToFloat(from.get(ValueLayout.JAVA_SHORT_UNALIGNED, 2 * index));
      case F8_E4M3 -> Float8Rows.widen(from.get(ValueLayout.JAVA_BYTE, index));
      case I16, I32 -> throw new IllegalArgumentException("an integer tensor holds no floats");
    };
  }

  /** Rounds once, to nearest even. */
  static void write(DType dtype, MemorySegment to, long index, double value) {
    switch (dtype) {
      case F64 -> to.set(ValueLayout.JAVA_DOUBLE_UNALIGNED, 8 * index, value);
      case F32 -> to.set(ValueLayout.JAVA_FLOAT_UNALIGNED, 4 * index, (float) value);
      case BF16 ->
          to.set(ValueLayout.JAVA_SHORT_UNALIGNED, 2 * index, RowAccess.narrow(roundToOdd(value)));
      case F16 ->
          to.set(
              ValueLayout.JAVA_SHORT_UNALIGNED, 2 * index, Float.floatToFloat16(roundToOdd(value)));
      case F8_E4M3 -> to.set(ValueLayout.JAVA_BYTE, index, Float8Rows.narrow(roundToOdd(value)));
      case I16, I32 -> throw new IllegalArgumentException("an integer tensor holds no floats");
    }
  }

  /**
   * The float next to the value on the side of zero, its last bit set if that is inexact: rounding
   * it to fewer bits gives what rounding the double at once would.
   */
  private static float roundToOdd(double value) {
    float nearest = (float) value;
    if (nearest == value || Double.isNaN(value)) {
      return nearest;
    }
    int bits = Float.floatToRawIntBits(nearest);
    if (Math.abs((double) nearest) > Math.abs(value)) {
      bits--;
    }
    return Float.intBitsToFloat(bits | 1);
  }
}
