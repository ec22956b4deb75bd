package io.panatron.kernels.cpu;

import static io.panatron.kernels.cpu.VectorMath.FLOATS;
import static io.panatron.kernels.cpu.VectorMath.INTS;
import static io.panatron.kernels.cpu.VectorMath.LANES;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/**
 * Runs of F16 for {@link RowAccess} and {@link TileRows}: widened exactly, and rounded to nearest
 * even with overflow to infinity, subnormal numbers on both sides, and NaN kept a NaN.
 *
 * <p>The Vector API has no conversion between half and single precision, so the bits are moved: the
 * exponents differ by a bias of 112; a subnormal number is completed to a normal one whose excess
 * is subtracted, which rounds where it is done the other way.
 *
 * <p>Each conversion stands twice, for arrays and for segments, since no vector may pass through a
 * method of its own: see {@link VectorMath#exp}.
 */
final class Float16Rows {
  /** As many 16-bit elements as {@link VectorMath#FLOATS} has lanes. */
  private static final VectorSpecies<Short> HALVES =
      VectorSpecies.of(short.class, VectorShape.forBitSize(FLOATS.vectorBitSize() / 2));

  private static final ByteOrder ORDER = ByteOrder.nativeOrder();
  private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED;

  /** Fraction bits of F32 beyond those of F16. */
  private static final int DROPPED = 13;

  private static final int SIGN = 0x8000_0000;

  /** Exponent and fraction of F16 where F32 has them. */
  private static final int WIDE_MAGNITUDE = 0x7FFF << DROPPED;

  /** The difference of the exponents' biases, 127 - 15, in the exponent of F32. */
  private static final int BIAS = 112 << 23;

  /** Magnitudes from here on are infinite or NaN: their exponent needs the difference twice. */
  private static final int WIDE_INFINITY = 31 << 23;

  /** Magnitudes below are subnormal in F16. */
  private static final int LEAST_NORMAL = 1 << 23;

  /** 2^-14, the least normal F16. */
  private static final float LEAST = 0x1p-14f;

  private static final int LEAST_BITS = Float.floatToRawIntBits(LEAST);

  /** A float whose last bit is worth 2^-24, as the last bit of a subnormal F16. */
  private static final float ROUNDER = 0.5f;

  private static final int ROUNDER_BITS = Float.floatToRawIntBits(ROUNDER);

  private static final int INFINITY = 0x7F80_0000;
  private static final int HALF_INFINITY = 0x7C00;
  private static final int HALF_NAN = 0x7E00;

  private Float16Rows() {}

  /** Widens {@code n} elements from byte {@code offset} on. */
  static void read(MemorySegment from, long offset, float[] to, int start, int n) {
    int vectors = n - n % LANES;
    for (int i = 0; i < vectors; i += LANES) {
      IntVector bits =
          (IntVector)
              ShortVector.fromMemorySegment(HALVES, from, offset + 2L * i, ORDER)
                  .convertShape(VectorOperators.S2I, INTS, 0);
      IntVector magnitude = bits.lanewise(VectorOperators.LSHL, DROPPED).and(WIDE_MAGNITUDE);
      IntVector subnormal =
          magnitude.add(LEAST_BITS).reinterpretAsFloats().sub(LEAST).reinterpretAsInts();
      magnitude
          .add(BIAS)
          .blend(magnitude.add(2 * BIAS), magnitude.compare(VectorOperators.GE, WIDE_INFINITY))
          .blend(subnormal, magnitude.compare(VectorOperators.LT, LEAST_NORMAL))
          .or(bits.and(SIGN))
          .reinterpretAsFloats()
          .intoArray(to, start + i);
    }
    for (int i = vectors; i < n; i++) {
      to[start + i] = Float.float16ToFloat(from.get(SHORT, offset + 2L * i));
    }
  }

  /** Rounds {@code n} elements to byte {@code offset} and on. */
  static void write(float[] from, int start, MemorySegment to, long offset, int n) {
    int vectors = n - n % LANES;
    for (int i = 0; i < vectors; i += LANES) {
      IntVector bits = FloatVector.fromArray(FLOATS, from, start + i).reinterpretAsInts();
      IntVector magnitude = bits.and(~SIGN);
      IntVector odd = magnitude.lanewise(VectorOperators.LSHR, DROPPED).and(1);
      IntVector subnormal =
          magnitude.reinterpretAsFloats().add(ROUNDER).reinterpretAsInts().sub(ROUNDER_BITS);
      ((ShortVector)
              magnitude
                  .sub(BIAS)
                  .add(odd)
                  .add((1 << (DROPPED - 1)) - 1)
                  .lanewise(VectorOperators.LSHR, DROPPED)
                  .min(HALF_INFINITY)
                  .blend(subnormal, magnitude.compare(VectorOperators.LT, LEAST_BITS))
                  .blend(HALF_NAN, magnitude.compare(VectorOperators.GT, INFINITY))
                  .or(bits.lanewise(VectorOperators.LSHR, 16).and(0x8000))
                  .convertShape(VectorOperators.I2S, HALVES, 0))
          .intoMemorySegment(to, offset + 2L * i, ORDER);
    }
    for (int i = vectors; i < n; i++) {
      to.set(SHORT, offset + 2L * i, Float.floatToFloat16(from[start + i]));
    }
  }

  /** {@link TileRows#read} of F16. */
  static void readTile(
      MemorySegment from, long start, MemorySegment to, long target, int count, float factor) {
    int i = 0;
    for (; i <= count - LANES; i += LANES) {
      IntVector bits =
          (IntVector)
              ShortVector.fromMemorySegment(HALVES, from, (start + i) * Short.BYTES, ORDER)
                  .convertShape(VectorOperators.S2I, INTS, 0);
      IntVector magnitude = bits.lanewise(VectorOperators.LSHL, DROPPED).and(WIDE_MAGNITUDE);
      IntVector subnormal =
          magnitude.add(LEAST_BITS).reinterpretAsFloats().sub(LEAST).reinterpretAsInts();
      magnitude
          .add(BIAS)
          .blend(magnitude.add(2 * BIAS), magnitude.compare(VectorOperators.GE, WIDE_INFINITY))
          .blend(subnormal, magnitude.compare(VectorOperators.LT, LEAST_NORMAL))
          .or(bits.and(SIGN))
          .reinterpretAsFloats()
          .mul(factor)
          .intoMemorySegment(to, (target + i) * Float.BYTES, ORDER);
    }
    for (; i < count; i++) {
      float value = Float.float16ToFloat(from.get(SHORT, (start + i) * Short.BYTES));
      TileRows.set(to, target + i, value * factor);
    }
  }

  /** {@link TileRows#write} of F16. */
  static void writeTile(
      MemorySegment from, long start, MemorySegment to, long target, int count, float factor) {
    int i = 0;
    for (; i <= count - LANES; i += LANES) {
      IntVector bits =
          FloatVector.fromMemorySegment(FLOATS, from, (start + i) * Float.BYTES, ORDER)
              .mul(factor)
              .reinterpretAsInts();
      IntVector magnitude = bits.and(~SIGN);
      IntVector odd = magnitude.lanewise(VectorOperators.LSHR, DROPPED).and(1);
      IntVector subnormal =
          magnitude.reinterpretAsFloats().add(ROUNDER).reinterpretAsInts().sub(ROUNDER_BITS);
      ((ShortVector)
              magnitude
                  .sub(BIAS)
                  .add(odd)
                  .add((1 << (DROPPED - 1)) - 1)
                  .lanewise(VectorOperators.LSHR, DROPPED)
                  .min(HALF_INFINITY)
                  .blend(subnormal, magnitude.compare(VectorOperators.LT, LEAST_BITS))
                  .blend(HALF_NAN, magnitude.compare(VectorOperators.GT, INFINITY))
                  .or(bits.lanewise(VectorOperators.LSHR, 16).and(0x8000))
                  .convertShape(VectorOperators.I2S, HALVES, 0))
          .intoMemorySegment(to, (target + i) * Short.BYTES, ORDER);
    }
    for (; i < count; i++) {
      float value = TileRows.get(from, start + i) * factor;
      to.set(SHORT, (target + i) * Short.BYTES, Float.floatToFloat16(value));
    }
  }
}
