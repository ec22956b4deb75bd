package io.panatron.bindings.onednn;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Random;

/**
 * Memory for one multiplication, filled with whole numbers from -4 to 4, gaps included, and the
 * plain sum.
 */
final class TestMatrices {
  /** One folder for all tests: a process loads the library once. */
  static final Path CACHE = Path.of("target", "native-cache");

  final MemorySegment a;
  final MemorySegment b;
  final MemorySegment c;
  private final MatmulDescription description;

  TestMatrices(MatmulDescription description, Arena arena, long seed) {
    this.description = description;
    Random random = new Random(seed);
    a = filled(description.a(), arena, random);
    b = filled(description.b(), arena, random);
    c = filled(description.c(), arena, random);
  }

  /** What C's memory must hold afterwards; gaps keep what they held. */
  float[] expected() {
    Matrix ma = description.a();
    Matrix mb = description.b();
    Matrix mc = description.c();
    float[] result = memoryOfC();
    for (long i = 0; i < mc.batch(); i++) {
      for (long r = 0; r < mc.rows(); r++) {
        for (long s = 0; s < mc.columns(); s++) {
          int at = Math.toIntExact(index(mc, i, r, s));
          double sum = description.accumulate() ? result[at] : 0;
          for (long k = 0; k < ma.columns(); k++) {
            sum += (double) get(a, ma, index(ma, i, r, k)) * get(b, mb, index(mb, i, k, s));
          }
          result[at] = rounded((float) sum, mc.type());
        }
      }
    }
    return result;
  }

  /** C's memory from its first to its last element. */
  float[] memoryOfC() {
    float[] result = new float[Math.toIntExact(span(description.c()))];
    for (int i = 0; i < result.length; i++) {
      result[i] = get(c, description.c(), i);
    }
    return result;
  }

  private static MemorySegment filled(Matrix matrix, Arena arena, Random random) {
    long span = span(matrix);
    MemorySegment memory = arena.allocate(span * matrix.type().bytes(), 64);
    for (long i = 0; i < span; i++) {
      float value = random.nextInt(9) - 4;
      switch (matrix.type()) {
        case F32 -> memory.setAtIndex(ValueLayout.JAVA_FLOAT, i, value);
        case BF16 ->
            memory.setAtIndex(
                ValueLayout.JAVA_SHORT, i, (short) (Float.floatToRawIntBits(value) >>> 16));
        case F16 -> memory.setAtIndex(ValueLayout.JAVA_SHORT, i, Float.floatToFloat16(value));
      }
    }
    return memory;
  }

  private static float rounded(float exact, ElementType type) {
    return switch (type) {
      case F32 -> exact;
      case BF16 -> {
        int bits = Float.floatToRawIntBits(exact);
        int toEven = 0x7fff + (bits >>> 16 & 1);
        yield Float.intBitsToFloat(bits + toEven & 0xffff0000);
      }
      case F16 -> Float.float16ToFloat(Float.floatToFloat16(exact));
    };
  }

  private static float get(MemorySegment memory, Matrix matrix, long index) {
    return switch (matrix.type()) {
      case F32 -> memory.getAtIndex(ValueLayout.JAVA_FLOAT, index);
      case BF16 -> Float.intBitsToFloat(memory.getAtIndex(ValueLayout.JAVA_SHORT, index) << 16);
      case F16 -> Float.float16ToFloat(memory.getAtIndex(ValueLayout.JAVA_SHORT, index));
    };
  }

  private static long index(Matrix matrix, long batch, long row, long column) {
    long i = matrix.batch() == 1 ? 0 : batch;
    return i * matrix.batchStride() + row * matrix.rowStride() + column * matrix.columnStride();
  }

  private static long span(Matrix matrix) {
    return index(matrix, matrix.batch() - 1, matrix.rows() - 1, matrix.columns() - 1) + 1;
  }
}
