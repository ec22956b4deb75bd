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

/** What {@link CpuStoredAdamW} does to rows besides the update itself. */
final class StoredRows {
  private static final VectorSpecies<Short> HALVES =
      VectorSpecies.of(short.class, VectorShape.forBitSize(FLOATS.vectorBitSize() / 2));

  private static final ByteOrder ORDER = ByteOrder.nativeOrder();
  private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED;

  private StoredRows() {}

  /** The greatest magnitude of a row and of the zeros behind it; NaN if there is one. */
  static float largest(float[] x, int n) {
    FloatVector largest = FloatVector.zero(FLOATS);
    for (int i = 0; i < n; i += LANES) {
      largest = largest.max(FloatVector.fromArray(FLOATS, x, i).abs());
    }
    int lanes = x.length - LANES;
    largest.intoArray(x, lanes);
    float result = 0;
    for (int lane = lanes; lane < x.length; lane++) {
      result = Math.max(result, x[lane]);
    }
    return result;
  }

  /**
   * Puts BF16 upper halves and I16 lower halves together.
   *
   * @param offset where both start, in bytes
   */
  static void join(MemorySegment upper, MemorySegment lower, long offset, float[] to, int n) {
    int vectors = n - n % LANES;
    for (int i = 0; i < vectors; i += LANES) {
      IntVector high =
          (IntVector)
              ShortVector.fromMemorySegment(HALVES, upper, offset + 2L * i, ORDER)
                  .convertShape(VectorOperators.S2I, INTS, 0);
      IntVector low =
          (IntVector)
              ShortVector.fromMemorySegment(HALVES, lower, offset + 2L * i, ORDER)
                  .convertShape(VectorOperators.S2I, INTS, 0);
      high.lanewise(VectorOperators.LSHL, 16).add(low).reinterpretAsFloats().intoArray(to, i);
    }
    for (int i = vectors; i < n; i++) {
      int bits = (upper.get(SHORT, offset + 2L * i) << 16) + lower.get(SHORT, offset + 2L * i);
      to[i] = Float.intBitsToFloat(bits);
    }
    int end = RowAccess.padded(n);
    for (int i = n; i < end; i++) {
      to[i] = 0;
    }
  }

  /** Takes the numbers apart again; arguments as for {@link #join}. */
  static void split(float[] from, MemorySegment upper, MemorySegment lower, long offset, int n) {
    int vectors = n - n % LANES;
    for (int i = 0; i < vectors; i += LANES) {
      IntVector bits = FloatVector.fromArray(FLOATS, from, i).reinterpretAsInts();
      ((ShortVector)
              bits.add(0x8000)
                  .lanewise(VectorOperators.LSHR, 16)
                  .convertShape(VectorOperators.I2S, HALVES, 0))
          .intoMemorySegment(upper, offset + 2L * i, ORDER);
      ((ShortVector) bits.convertShape(VectorOperators.I2S, HALVES, 0))
          .intoMemorySegment(lower, offset + 2L * i, ORDER);
    }
    for (int i = vectors; i < n; i++) {
      int bits = Float.floatToRawIntBits(from[i]);
      upper.set(SHORT, offset + 2L * i, (short) (bits + 0x8000 >>> 16));
      lower.set(SHORT, offset + 2L * i, (short) bits);
    }
  }
}
