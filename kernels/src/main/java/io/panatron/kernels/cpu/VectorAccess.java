package io.panatron.kernels.cpu;

import static io.panatron.kernels.cpu.VectorMath.FLOATS;
import static io.panatron.kernels.cpu.VectorMath.INTS;
import static io.panatron.kernels.cpu.VectorMath.LANES;

import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/**
 * Carries float vectors to and from memory that holds F32 or BF16.
 *
 * <p>A BF16 load is exact; a BF16 store rounds to nearest even, overflows to infinity and keeps NaN a
 * NaN. {@code load} and {@code store} also end rows: given the row's length {@code n} they leave out the
 * lanes from {@code n} on, which load as 0, so that a kernel states its arithmetic once. In a loop over
 * {@code i} the compiler takes that test, like the one on {@code bf16}, out of the loop.
 */
final class VectorAccess {
  /** As many 16-bit elements as {@link VectorMath#FLOATS} has lanes. */
  static final VectorSpecies<Short> HALVES =
      VectorSpecies.of(short.class, VectorShape.forBitSize(FLOATS.vectorBitSize() / 2));

  private static final ByteOrder ORDER = ByteOrder.nativeOrder();

  private VectorAccess() {}

  /**
   * Elements {@code i ..} of a row of {@code n} elements.
   *
   * @param bf16 whether the row holds BF16, else F32
   * @param base where the row starts, in bytes
   */
  static FloatVector load(boolean bf16, MemorySegment from, long base, int i, int n) {
    if (i > n - LANES) {
      return loadTail(bf16, from, base, i, n);
    }
    return bf16 ? loadBf16(from, base + 2L * i) : loadF32(from, base + 4L * i);
  }

  /**
   * Stores to elements {@code i ..} of a row of {@code n} elements; arguments as for {@code load}.
   *
   * @return the value as stored, which a load would give
   */
  static FloatVector store(
      boolean bf16, FloatVector value, MemorySegment to, long base, int i, int n) {
    if (i > n - LANES) {
      return storeTail(bf16, value, to, base, i, n);
    }
    if (bf16) {
      ShortVector bits = narrow(value);
      bits.intoMemorySegment(to, base + 2L * i, ORDER);
      return widen(bits);
    }
    storeF32(value, to, base + 4L * i);
    return value;
  }

  static FloatVector loadF32(MemorySegment from, long offset) {
    return FloatVector.fromMemorySegment(FLOATS, from, offset, ORDER);
  }

  static void storeF32(FloatVector value, MemorySegment to, long offset) {
    value.intoMemorySegment(to, offset, ORDER);
  }

  static FloatVector loadBf16(MemorySegment from, long offset) {
    return widen(ShortVector.fromMemorySegment(HALVES, from, offset, ORDER));
  }

  static void storeBf16(FloatVector value, MemorySegment to, long offset) {
    narrow(value).intoMemorySegment(to, offset, ORDER);
  }

  /** BF16 bits as floats. */
  static FloatVector widen(ShortVector bits) {
    return ((IntVector) bits.convertShape(VectorOperators.ZERO_EXTEND_S2I, INTS, 0))
        .lanewise(VectorOperators.LSHL, 16)
        .reinterpretAsFloats();
  }

  /** Floats as BF16 bits. */
  static ShortVector narrow(FloatVector value) {
    IntVector bits = value.reinterpretAsInts();
    IntVector odd = bits.lanewise(VectorOperators.LSHR, 16).and(1);
    IntVector rounded = bits.add(0x7FFF).add(odd);
    // The carry would turn a NaN with all fraction bits set into a zero: keep its top, made quiet.
    IntVector quiet = bits.or(0x0040_0000);
    VectorMask<Integer> isNan = value.compare(VectorOperators.NE, value).cast(INTS);
    return (ShortVector)
        rounded
            .blend(quiet, isNan)
            .lanewise(VectorOperators.LSHR, 16)
            .convertShape(VectorOperators.I2S, HALVES, 0);
  }

  private static FloatVector loadTail(boolean bf16, MemorySegment from, long base, int i, int n) {
    if (bf16) {
      return widen(
          ShortVector.fromMemorySegment(
              HALVES, from, base + 2L * i, ORDER, HALVES.indexInRange(i, n)));
    }
    return FloatVector.fromMemorySegment(
        FLOATS, from, base + 4L * i, ORDER, FLOATS.indexInRange(i, n));
  }

  private static FloatVector storeTail(
      boolean bf16, FloatVector value, MemorySegment to, long base, int i, int n) {
    if (bf16) {
      ShortVector bits = narrow(value);
      bits.intoMemorySegment(to, base + 2L * i, ORDER, HALVES.indexInRange(i, n));
      return widen(bits);
    }
    value.intoMemorySegment(to, base + 4L * i, ORDER, FLOATS.indexInRange(i, n));
    return value;
  }
}
