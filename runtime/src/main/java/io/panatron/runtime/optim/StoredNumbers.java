package io.panatron.runtime.optim;

import io.panatron.kernels.DType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Numbers of narrow dtypes in host memory. */
final class StoredNumbers {
  private static final int BF16_SHIFT = 16;

  /** Of E4M3: fraction bits, and what is taken off the exponent. */
  private static final int FRACTION_BITS = 3;

  private static final int BIAS = 7;

  private StoredNumbers() {}

  /**
   * One number, widened exactly.
   *
   * @param index in elements of {@code dtype}: F32, BF16, F16 or F8_E4M3
   */
  static float widen(DType dtype, MemorySegment from, long index) {
    return switch (dtype) {
      case F32 -> from.getAtIndex(ValueLayout.JAVA_FLOAT, index);
      case BF16 ->
          Float.intBitsToFloat(from.getAtIndex(ValueLayout.JAVA_SHORT, index) << BF16_SHIFT);
      case F16 -> Float.float16ToFloat(from.getAtIndex(ValueLayout.JAVA_SHORT, index));
      case F8_E4M3 -> widen(from.get(ValueLayout.JAVA_BYTE, index));
      case F64, I16, I32 -> throw new IllegalArgumentException("no state is stored in " + dtype);
    };
  }

  /** E4M3: exponent 0 is subnormal, all ones are NaN, and there is no infinity. */
  private static float widen(byte bits) {
    int exponent = bits >> FRACTION_BITS & 0xF;
    int fraction = bits & 0x7;
    float magnitude;
    if (exponent == 0xF && fraction == 0x7) {
      magnitude = Float.NaN;
    } else if (exponent == 0) {
      magnitude = Math.scalb((float) fraction, 1 - BIAS - FRACTION_BITS);
    } else {
      magnitude = Math.scalb((float) (fraction + 8), exponent - BIAS - FRACTION_BITS);
    }
    return bits < 0 ? -magnitude : magnitude;
  }
}
