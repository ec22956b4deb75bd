package io.panatron.kernels.reference;

import io.panatron.kernels.DType;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.host.HostMemory;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Carries tensors to and from {@code double[]}, the one form in which this backend computes.
 *
 * <p>Every load is exact and every store rounds once, to nearest even. Whole tensors are copied:
 * the oracle pays memory and time for formulas without storage in them.
 */
final class ReferenceArray {
  private ReferenceArray() {}

  /** All elements of a floating tensor. */
  static double[] read(Tensor tensor) {
    MemorySegment segment = HostMemory.of(tensor);
    double[] values = new double[Math.toIntExact(tensor.elements())];
    switch (tensor.dtype()) {
      case F64 ->
          MemorySegment.copy(
              segment, ValueLayout.JAVA_DOUBLE_UNALIGNED, 0, values, 0, values.length);
      case F32 -> {
        for (int i = 0; i < values.length; i++) {
          values[i] = segment.get(ValueLayout.JAVA_FLOAT_UNALIGNED, 4L * i);
        }
      }
      case BF16 -> {
        for (int i = 0; i < values.length; i++) {
          short bits = segment.get(ValueLayout.JAVA_SHORT_UNALIGNED, 2L * i);
          values[i] = Float.intBitsToFloat(bits << 16);
        }
      }
      case F16 -> {
        for (int i = 0; i < values.length; i++) {
          values[i] = Float.float16ToFloat(segment.get(ValueLayout.JAVA_SHORT_UNALIGNED, 2L * i));
        }
      }
      case F8_E4M3 -> {
        for (int i = 0; i < values.length; i++) {
          values[i] = fromFloat8(segment.get(ValueLayout.JAVA_BYTE, i));
        }
      }
      case I16, I32 -> throw new IllegalArgumentException(tensor + " is not floating");
    }
    return values;
  }

  /** All elements of an I32 tensor. */
  static int[] readIntegers(Tensor tensor) {
    if (tensor.dtype() != DType.I32) {
      throw new IllegalArgumentException(tensor + " does not hold integers");
    }
    int[] values = new int[Math.toIntExact(tensor.elements())];
    MemorySegment.copy(
        HostMemory.of(tensor), ValueLayout.JAVA_INT_UNALIGNED, 0, values, 0, values.length);
    return values;
  }

  /** Overwrites the tensor. */
  static void write(double[] values, Tensor tensor) {
    MemorySegment segment = HostMemory.of(tensor);
    for (int i = 0; i < values.length; i++) {
      double value = values[i];
      switch (tensor.dtype()) {
        case F64 -> segment.set(ValueLayout.JAVA_DOUBLE_UNALIGNED, 8L * i, value);
        case F32 -> segment.set(ValueLayout.JAVA_FLOAT_UNALIGNED, 4L * i, (float) value);
        case BF16 -> segment.set(ValueLayout.JAVA_SHORT_UNALIGNED, 2L * i, toBfloat16(value));
        case F16 -> segment.set(ValueLayout.JAVA_SHORT_UNALIGNED, 2L * i, toFloat16(value));
        case F8_E4M3 -> segment.set(ValueLayout.JAVA_BYTE, i, toFloat8(value));
        case I16, I32 -> throw new IllegalArgumentException(tensor + " is not floating");
      }
    }
  }

  /** Adds to the tensor, rounding only the sum. */
  static void accumulate(double[] values, Tensor tensor) {
    double[] sum = read(tensor);
    for (int i = 0; i < sum.length; i++) {
      sum[i] += values[i];
    }
    write(sum, tensor);
  }

  static short toBfloat16(double value) {
    if (Double.isNaN(value)) {
      return (short) 0x7FC0;
    }
    float rounded = (float) round(value, 7, Float.MIN_EXPONENT, Float.MAX_EXPONENT);
    return (short) (Float.floatToRawIntBits(rounded) >>> 16);
  }

  static short toFloat16(double value) {
    return Float.floatToFloat16((float) round(value, 10, -14, 15));
  }

  /** E4M3: the exponent's bias is 7, exponent 0 is subnormal, all ones are NaN. */
  private static double fromFloat8(byte bits) {
    int exponent = bits >> 3 & 15;
    int fraction = bits & 7;
    double magnitude =
        exponent == 0
            ? Math.scalb((double) fraction, -9)
            : Math.scalb(1 + fraction / 8.0, exponent - 7);
    return Math.copySign(exponent == 15 && fraction == 7 ? Double.NaN : magnitude, bits);
  }

  private static byte toFloat8(double value) {
    int sign = Double.doubleToRawLongBits(value) < 0 ? 0x80 : 0;
    if (Double.isNaN(value)) {
      return (byte) (sign | 0x7F);
    }
    double magnitude = Math.min(Math.abs(round(value, 3, -6, 8)), 448);
    int exponent = Math.max(Math.getExponent(magnitude), -6);
    int units = (int) Math.scalb(magnitude, 3 - exponent); // 8 to 15, less where subnormal
    return (byte) (sign | (exponent + 6) * 8 + units);
  }

  /**
   * The nearest value with {@code fractionBits} after the leading bit, ties to even; going through
   * float first would round twice.
   */
  private static double round(double value, int fractionBits, int minExponent, int maxExponent) {
    if (Double.isNaN(value) || Double.isInfinite(value)) {
      return value;
    }
    int exponent = Math.max(Math.getExponent(value), minExponent);
    double quantum = Math.scalb(1.0, exponent - fractionBits);
    double rounded = Math.rint(value / quantum) * quantum;
    return Math.abs(rounded) >= Math.scalb(1.0, maxExponent + 1)
        ? Math.copySign(Double.POSITIVE_INFINITY, value)
        : rounded;
  }

  /** {@code sum over i of a[aStart + i] b[bStart + i]}. */
  static double dot(double[] a, int aStart, double[] b, int bStart, int count) {
    double sum = 0;
    for (int i = 0; i < count; i++) {
      sum += a[aStart + i] * b[bStart + i];
    }
    return sum;
  }

  /** {@code into[intoStart + i] += factor x[xStart + i]}. */
  static void addScaled(
      double factor, double[] x, int xStart, double[] into, int intoStart, int count) {
    for (int i = 0; i < count; i++) {
      into[intoStart + i] += factor * x[xStart + i];
    }
  }
}
