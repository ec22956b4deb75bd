package io.panatron.kernels.cpu;

import static io.panatron.kernels.cpu.VectorMath.FLOATS;
import static io.panatron.kernels.cpu.VectorMath.INTS;
import static io.panatron.kernels.cpu.VectorMath.LANES;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/**
 * Runs of F8_E4M3 for {@link RowAccess}: widened exactly; rounded to nearest even, subnormal
 * numbers included, with magnitudes beyond 448 stored as 448 and NaN kept a NaN.
 *
 * <p>The bits are moved as in {@link Float16Rows}.
 */
final class Float8Rows {
  /** Vectors of four floats would need vectors of four bytes, which do not exist. */
  private static final boolean VECTORS = LANES >= 8;

  private static final VectorSpecies<Byte> QUARTERS =
      VectorSpecies.of(
          byte.class, VECTORS ? VectorShape.forBitSize(8 * LANES) : VectorShape.S_64_BIT);

  private static final ByteOrder ORDER = ByteOrder.nativeOrder();

  /** Fraction bits of F32 beyond those of E4M3. */
  private static final int DROPPED = 20;

  private static final int SIGN = 0x8000_0000;
  private static final int WIDE_MAGNITUDE = 0x7F << DROPPED;

  /** The difference of the exponents' biases, 127 - 7, in the exponent of F32. */
  private static final int BIAS = 120 << 23;

  /** Magnitudes below are subnormal in E4M3. */
  private static final int LEAST_NORMAL = 1 << 23;

  /** 2^-6, the least normal number. */
  private static final float LEAST = 0x1p-6f;

  private static final int LEAST_BITS = Float.floatToRawIntBits(LEAST);

  /** A float whose last bit is worth 2^-9, as the last bit of a subnormal number. */
  private static final float ROUNDER = 0x1p14f;

  private static final int ROUNDER_BITS = Float.floatToRawIntBits(ROUNDER);
  private static final int INFINITY = 0x7F80_0000;
  private static final int GREATEST = 0x7E;
  private static final int NAN = 0x7F;

  private Float8Rows() {}

  /** Widens {@code n} elements from byte {@code offset} on. */
  static void read(MemorySegment from, long offset, float[] to, int start, int n) {
    int vectors = VECTORS ? n - n % LANES : 0;
    for (int i = 0; i < vectors; i += LANES) {
      IntVector bits =
          (IntVector)
              ByteVector.fromMemorySegment(QUARTERS, from, offset + i, ORDER)
                  .convertShape(VectorOperators.B2I, INTS, 0);
      IntVector magnitude = bits.lanewise(VectorOperators.LSHL, DROPPED).and(WIDE_MAGNITUDE);
      IntVector subnormal =
          magnitude.add(LEAST_BITS).reinterpretAsFloats().sub(LEAST).reinterpretAsInts();
      magnitude
          .add(BIAS)
          .blend(subnormal, magnitude.compare(VectorOperators.LT, LEAST_NORMAL))
          .blend(INFINITY + 1, magnitude.compare(VectorOperators.EQ, WIDE_MAGNITUDE))
          .or(bits.and(SIGN))
          .reinterpretAsFloats()
          .intoArray(to, start + i);
    }
    for (int i = vectors; i < n; i++) {
      to[start + i] = widen(from.get(ValueLayout.JAVA_BYTE, offset + i));
    }
  }

  /** Rounds {@code n} elements to byte {@code offset} and on. */
  static void write(float[] from, int start, MemorySegment to, long offset, int n) {
    int vectors = VECTORS ? n - n % LANES : 0;
    for (int i = 0; i < vectors; i += LANES) {
      IntVector bits = FloatVector.fromArray(FLOATS, from, start + i).reinterpretAsInts();
      IntVector magnitude = bits.and(~SIGN);
      IntVector odd = magnitude.lanewise(VectorOperators.LSHR, DROPPED).and(1);
      IntVector subnormal =
          magnitude.reinterpretAsFloats().add(ROUNDER).reinterpretAsInts().sub(ROUNDER_BITS);
      ((ByteVector)
              magnitude
                  .sub(BIAS)
                  .add(odd)
                  .add((1 << (DROPPED - 1)) - 1)
                  .lanewise(VectorOperators.LSHR, DROPPED)
                  .min(GREATEST)
                  .blend(subnormal, magnitude.compare(VectorOperators.LT, LEAST_BITS))
                  .blend(NAN, magnitude.compare(VectorOperators.GT, INFINITY))
                  .or(bits.lanewise(VectorOperators.LSHR, 24).and(0x80))
                  .convertShape(VectorOperators.I2B, QUARTERS, 0))
          .intoMemorySegment(to, offset + i, ORDER);
    }
    for (int i = vectors; i < n; i++) {
      to.set(ValueLayout.JAVA_BYTE, offset + i, narrow(from[start + i]));
    }
  }

  /** The bits as a float. */
  static float widen(byte bits) {
    int magnitude = bits & 0x7F;
    float value =
        magnitude == NAN
            ? Float.NaN
            : magnitude < 8
                ? magnitude * 0x1p-9f
                : Float.intBitsToFloat((magnitude << DROPPED) + BIAS);
    return bits < 0 ? -value : value;
  }

  /** A float as bits. */
  static byte narrow(float value) {
    int sign = Float.floatToRawIntBits(value) >>> 24 & 0x80;
    int magnitude = Float.floatToRawIntBits(value) & ~SIGN;
    if (magnitude > INFINITY) {
      return (byte) (sign | NAN);
    }
    if (magnitude < LEAST_BITS) {
      float completed = Float.intBitsToFloat(magnitude) + ROUNDER;
      return (byte) (sign | Float.floatToRawIntBits(completed) - ROUNDER_BITS);
    }
    int odd = magnitude >>> DROPPED & 1;
    int rounded = magnitude - BIAS + odd + (1 << (DROPPED - 1)) - 1 >>> DROPPED;
    return (byte) (sign | Math.min(rounded, GREATEST));
  }
}
