package io.panatron.kernels.cpu;

import io.panatron.kernels.DType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/**
 * Runs of consecutive elements, copied between the dtype of a tensor (F32, BF16 or F16) and F32
 * scratch memory, with the arithmetic that is cheapest while they pass.
 *
 * <p>Positions are counted in elements of the segment's dtype.
 *
 * <p>The arithmetic of a loop stands in the loop: once a method that takes or gives a vector is
 * compiled by itself into much code, the compiler does not inline it any more, and each vector goes
 * through the heap.
 */
final class TileRows {
  static final VectorSpecies<Float> FLOATS = VectorMath.FLOATS;
  static final int LANES = FLOATS.length();
  static final ByteOrder ORDER = ByteOrder.nativeOrder();
  static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;
  private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED;

  private static final VectorSpecies<Integer> INTS =
      VectorSpecies.of(int.class, FLOATS.vectorShape());
  private static final VectorSpecies<Short> SHORTS =
      VectorSpecies.of(short.class, VectorShape.forBitSize(FLOATS.vectorBitSize() / 2));

  private TileRows() {}

  static FloatVector load(MemorySegment segment, long position) {
    return FloatVector.fromMemorySegment(FLOATS, segment, position * Float.BYTES, ORDER);
  }

  static void store(FloatVector vector, MemorySegment segment, long position) {
    vector.intoMemorySegment(segment, position * Float.BYTES, ORDER);
  }

  static float get(MemorySegment segment, long position) {
    return segment.get(FLOAT, position * Float.BYTES);
  }

  static void set(MemorySegment segment, long position, float value) {
    segment.set(FLOAT, position * Float.BYTES, value);
  }

  /** {@code to = factor from}; {@code to} is F32. */
  static void read(
      DType dtype,
      MemorySegment from,
      long start,
      MemorySegment to,
      long target,
      int count,
      float factor) {
    if (dtype == DType.F32) {
      readF32(from, start, to, target, count, factor);
    } else if (dtype == DType.BF16) {
      readBf16(from, start, to, target, count, factor);
    } else {
      Float16Rows.readTile(from, start, to, target, count, factor);
    }
  }

  /** {@code to = factor from}, rounded to nearest even; {@code from} is F32. */
  static void write(
      DType dtype,
      MemorySegment from,
      long start,
      MemorySegment to,
      long target,
      int count,
      float factor) {
    if (dtype == DType.F32) {
      readF32(from, start, to, target, count, factor);
    } else if (dtype == DType.BF16) {
      writeBf16(from, start, to, target, count, factor);
    } else {
      Float16Rows.writeTile(from, start, to, target, count, factor);
    }
  }

  private static void readF32(
      MemorySegment from, long start, MemorySegment to, long target, int count, float factor) {
    int i = 0;
    for (; i <= count - LANES; i += LANES) {
      store(load(from, start + i).mul(factor), to, target + i);
    }
    for (; i < count; i++) {
      set(to, target + i, get(from, start + i) * factor);
    }
  }

  private static void readBf16(
      MemorySegment from, long start, MemorySegment to, long target, int count, float factor) {
    int i = 0;
    for (; i <= count - LANES; i += LANES) {
      IntVector bits =
          (IntVector)
              ShortVector.fromMemorySegment(SHORTS, from, (start + i) * Short.BYTES, ORDER)
                  .convertShape(VectorOperators.ZERO_EXTEND_S2I, INTS, 0);
      FloatVector wide = bits.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
      store(wide.mul(factor), to, target + i);
    }
    for (; i < count; i++) {
      set(to, target + i, getBf16(from, start + i) * factor);
    }
  }

  private static void writeBf16(
      MemorySegment from, long start, MemorySegment to, long target, int count, float factor) {
    int i = 0;
    for (; i <= count - LANES; i += LANES) {
      FloatVector scaled = load(from, start + i).mul(factor);
      IntVector bits = scaled.reinterpretAsInts();
      IntVector odd = bits.lanewise(VectorOperators.LSHR, 16).and(1);
      VectorMask<Integer> nan = scaled.test(VectorOperators.IS_NAN).cast(INTS);
      bits.add(0x7FFF)
          .add(odd)
          .blend(bits.or(0x400000), nan)
          .lanewise(VectorOperators.LSHR, 16)
          .convertShape(VectorOperators.I2S, SHORTS, 0)
          .reinterpretAsShorts()
          .intoMemorySegment(to, (target + i) * Short.BYTES, ORDER);
    }
    for (; i < count; i++) {
      setBf16(to, target + i, get(from, start + i) * factor);
    }
  }

  private static float getBf16(MemorySegment segment, long position) {
    return Float.intBitsToFloat(segment.get(SHORT, position * Short.BYTES) << 16);
  }

  private static void setBf16(MemorySegment segment, long position, float value) {
    int bits = Float.floatToRawIntBits(value);
    int rounded = Float.isNaN(value) ? bits | 0x400000 : bits + 0x7FFF + ((bits >>> 16) & 1);
    segment.set(SHORT, position * Short.BYTES, (short) (rounded >>> 16));
  }

  /** {@code into += x} on F32 runs. */
  static void add(MemorySegment x, long start, MemorySegment into, long target, int count) {
    int i = 0;
    for (; i <= count - LANES; i += LANES) {
      store(load(into, target + i).add(load(x, start + i)), into, target + i);
    }
    for (; i < count; i++) {
      set(into, target + i, get(into, target + i) + get(x, start + i));
    }
  }

  /** The inner product of two F32 runs. */
  static float dot(MemorySegment x, long start, MemorySegment y, long other, int count) {
    FloatVector sums = FloatVector.zero(FLOATS);
    int i = 0;
    for (; i <= count - LANES; i += LANES) {
      sums = load(x, start + i).fma(load(y, other + i), sums);
    }
    float sum = VectorMath.sum(sums);
    for (; i < count; i++) {
      sum = Math.fma(get(x, start + i), get(y, other + i), sum);
    }
    return sum;
  }

  /** {@code x *= factor} on an F32 run. */
  static void scale(MemorySegment x, long start, int count, float factor) {
    readF32(x, start, x, start, count, factor);
  }

  /** {@code x = 0} on an F32 run. Not by a slice's fill: that would leave a slice on the heap. */
  static void zero(MemorySegment x, long start, long count) {
    FloatVector zero = FloatVector.zero(FLOATS);
    long i = 0;
    for (; i <= count - LANES; i += LANES) {
      store(zero, x, start + i);
    }
    for (; i < count; i++) {
      set(x, start + i, 0);
    }
  }
}
