package io.panatron.kernels.cpu;

import static io.panatron.kernels.cpu.VectorMath.FLOATS;
import static io.panatron.kernels.cpu.VectorMath.INTS;
import static io.panatron.kernels.cpu.VectorMath.LANES;

import io.panatron.kernels.DType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/**
 * Carries rows of F32, BF16, F16 or F8_E4M3 between tensors and {@code float[]}, where the kernels
 * compute.
 *
 * <p>Arithmetic is thus written once, for arrays whose last vector is complete. The detour through
 * the L1 cache costs little beside main memory; a loop that chose dtype or tail lane by lane costs
 * much more, since the compiler then keeps vectors in heap objects.
 *
 * <p>A read is exact; a write of BF16 or F16 rounds to nearest even, overflows to infinity (in
 * F8_E4M3 to 448) and keeps NaN a NaN.
 */
final class RowAccess {
  /** As many 16-bit elements as {@link VectorMath#FLOATS} has lanes. */
  private static final VectorSpecies<Short> HALVES =
      VectorSpecies.of(short.class, VectorShape.forBitSize(FLOATS.vectorBitSize() / 2));

  private static final ByteOrder ORDER = ByteOrder.nativeOrder();

  private RowAccess() {}

  /** Whether rows of this dtype can be read and written here. */
  static boolean reads(DType dtype) {
    return switch (dtype) {
      case F32, BF16, F16, F8_E4M3 -> true;
      case F64, I16, I32 -> false;
    };
  }

  /** The least multiple of the vector length that is not below {@code n}. */
  static int padded(int n) {
    return (n + LANES - 1) / LANES * LANES;
  }

  /**
   * Fills {@code to} from {@code start} on with {@code n} elements, and with zeros to the end of
   * the last vector.
   *
   * @param dtype of the elements, one that {@link #reads} names
   * @param offset where they start, in bytes
   * @param start where they go, a multiple of the vector length
   */
  static void read(DType dtype, MemorySegment from, long offset, float[] to, int start, int n) {
    if (dtype == DType.F32) {
      MemorySegment.copy(from, ValueLayout.JAVA_FLOAT_UNALIGNED, offset, to, start, n);
    } else if (dtype == DType.BF16) {
      readBf16(from, offset, to, start, n);
    } else if (dtype == DType.F16) {
      Float16Rows.read(from, offset, to, start, n);
    } else {
      Float8Rows.read(from, offset, to, start, n);
    }
    int end = start + padded(n);
    if (end > start + n) {
      Arrays.fill(to, start + n, end, 0f);
    }
  }

  /** Reads to the start of {@code to}. */
  static void read(DType dtype, MemorySegment from, long offset, float[] to, int n) {
    read(dtype, from, offset, to, 0, n);
  }

  /** Writes {@code n} elements of {@code from}; arguments as for {@link #read}. */
  static void write(DType dtype, float[] from, int start, MemorySegment to, long offset, int n) {
    if (dtype == DType.F32) {
      MemorySegment.copy(from, start, to, ValueLayout.JAVA_FLOAT_UNALIGNED, offset, n);
    } else if (dtype == DType.BF16) {
      writeBf16(from, start, to, offset, n);
    } else if (dtype == DType.F16) {
      Float16Rows.write(from, start, to, offset, n);
    } else {
      Float8Rows.write(from, start, to, offset, n);
    }
  }

  /** Writes from the start of {@code from}. */
  static void write(DType dtype, float[] from, MemorySegment to, long offset, int n) {
    write(dtype, from, 0, to, offset, n);
  }

  /** BF16 bits as a float. */
  static float widen(short bits) {
    return Float.intBitsToFloat(bits << 16);
  }

  /** A float as BF16 bits. */
  static short narrow(float value) {
    int bits = Float.floatToRawIntBits(value);
    if (Float.isNaN(value)) {
      return (short) ((bits | 0x0040_0000) >>> 16);
    }
    return (short) ((bits + 0x7FFF + ((bits >>> 16) & 1)) >>> 16);
  }

  // The vector loops below call nothing but vector operations: see VectorMath.exp.

  private static void readBf16(MemorySegment from, long offset, float[] to, int start, int n) {
    int vectors = n - n % LANES;
    for (int i = 0; i < vectors; i += LANES) {
      ShortVector bits = ShortVector.fromMemorySegment(HALVES, from, offset + 2L * i, ORDER);
      ((IntVector) bits.convertShape(VectorOperators.ZERO_EXTEND_S2I, INTS, 0))
          .lanewise(VectorOperators.LSHL, 16)
          .reinterpretAsFloats()
          .intoArray(to, start + i);
    }
    for (int i = vectors; i < n; i++) {
      to[start + i] = widen(from.get(ValueLayout.JAVA_SHORT_UNALIGNED, offset + 2L * i));
    }
  }

  private static void writeBf16(float[] from, int start, MemorySegment to, long offset, int n) {
    int vectors = n - n % LANES;
    for (int i = 0; i < vectors; i += LANES) {
      FloatVector value = FloatVector.fromArray(FLOATS, from, start + i);
      IntVector bits = value.reinterpretAsInts();
      IntVector odd = bits.lanewise(VectorOperators.LSHR, 16).and(1);
      IntVector rounded = bits.add(0x7FFF).add(odd);
      // The carry would turn a NaN with all fraction bits set into a zero: keep its top, made
      // quiet.
      IntVector quiet = bits.or(0x0040_0000);
      VectorMask<Integer> isNan = value.compare(VectorOperators.NE, value).cast(INTS);
      ((ShortVector)
              rounded
                  .blend(quiet, isNan)
                  .lanewise(VectorOperators.LSHR, 16)
                  .convertShape(VectorOperators.I2S, HALVES, 0))
          .intoMemorySegment(to, offset + 2L * i, ORDER);
    }
    for (int i = vectors; i < n; i++) {
      to.set(ValueLayout.JAVA_SHORT_UNALIGNED, offset + 2L * i, narrow(from[start + i]));
    }
  }
}
