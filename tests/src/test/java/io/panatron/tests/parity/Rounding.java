package io.panatron.tests.parity;

import io.panatron.kernels.DType;

/**
 * Values as a dtype stores them, worked out on the bits, where the backends may use arithmetic.
 *
 * <p>All roundings are to nearest, ties to even; a NaN stays a NaN with any payload.
 */
public final class Rounding {
  private Rounding() {}

  /** The value nearest to {@code value} that {@code dtype} can hold. */
  public static double round(DType dtype, double value) {
    return switch (dtype) {
      case F64 -> value;
      case F32 -> (float) value;
      case BF16 -> widen(DType.BF16, (short) narrow(value, 8, 7));
      case F16 -> widen(DType.F16, (short) narrow(value, 5, 10));
      case F8_E4M3 -> float8Value(float8Bits(value));
      case I16, I32 -> throw new IllegalArgumentException(dtype + " is not rounded");
    };
  }

  /** The bits of F8_E4M3 that hold a value, or would hold it after rounding: 448 beyond. */
  static byte float8Bits(double value) {
    int sign = Double.doubleToRawLongBits(value) < 0 ? 0x80 : 0;
    if (Double.isNaN(value)) {
      return (byte) (sign | 0x7F);
    }
    // Rounded with eight exponent bits, since four of them would make 256 and more infinite.
    int bits = narrow(Math.abs(Math.scalb(value, -120)), 8, 3);
    return (byte) (sign | Math.min(bits, 0x7E));
  }

  /** The value of bits of F8_E4M3. */
  static double float8Value(byte bits) {
    int magnitude = bits & 0x7F;
    double tiny = Float.intBitsToFloat(magnitude << 20);
    double value = magnitude == 0x7F ? Double.NaN : Math.scalb(tiny, 120);
    return bits < 0 ? -value : value;
  }

  /** {@link #round} of all. */
  public static double[] round(DType dtype, double[] values) {
    double[] rounded = new double[values.length];
    for (int i = 0; i < values.length; i++) {
      rounded[i] = round(dtype, values[i]);
    }
    return rounded;
  }

  /** The 16 bits of a value that BF16 or F16 holds, or would hold after rounding. */
  static short bits(DType dtype, double value) {
    return (short) (dtype == DType.BF16 ? narrow(value, 8, 7) : narrow(value, 5, 10));
  }

  /** The value of 16 bits of BF16 or F16. */
  static double widen(DType dtype, short bits) {
    return dtype == DType.BF16 ? Float.intBitsToFloat(bits << 16) : Float.float16ToFloat(bits);
  }

  /** Rounds the bits of a double to a format of {@code exponentBits} and {@code fractionBits}. */
  private static int narrow(double value, int exponentBits, int fractionBits) {
    int sign = (Double.doubleToRawLongBits(value) < 0 ? 1 : 0) << (exponentBits + fractionBits);
    int infinity = ((1 << exponentBits) - 1) << fractionBits;
    if (Double.isNaN(value)) {
      return sign | infinity | 1 << (fractionBits - 1);
    }
    if (value == 0) {
      return sign;
    }
    int bias = (1 << (exponentBits - 1)) - 1;
    int exponent = Math.getExponent(value) + bias;
    long significand = Double.doubleToRawLongBits(value) & ((1L << 52) - 1) | 1L << 52;
    int dropped = 52 - fractionBits;
    if (exponent < 1) {
      // Subnormal in the target: the leading one moves into the fraction.
      dropped += 1 - exponent;
      exponent = 0;
    } else {
      significand &= (1L << 52) - 1;
    }
    if (dropped > 54) {
      return sign;
    }
    long kept = significand >>> dropped;
    long rest = significand & ((1L << dropped) - 1);
    long half = 1L << (dropped - 1);
    if (rest > half || (rest == half && (kept & 1) == 1)) {
      kept++;
    }
    // A carry out of the fraction raises the exponent, as it should.
    long magnitude = ((long) exponent << fractionBits) + kept;
    return sign | (int) Math.min(magnitude, infinity);
  }
}
