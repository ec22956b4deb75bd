package io.panatron.runtime.checkpoint;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Numbers of a floating dtype in host memory, widened to double and rounded back to even. */
final class HostNumbers {
  private static final int BF16_SHIFT = 16;

  private HostNumbers() {}

  /** All numbers of a tensor; {@code arena} lends the memory that they pass through. */
  static double[] read(TensorSource tensor, Arena arena) throws IOException {
    MemorySegment memory = arena.allocate(tensor.byteSize(), 8);
    tensor.copyTo(memory);
    double[] values = new double[Math.toIntExact(tensor.byteSize() / tensor.dtype().byteSize())];
    read(tensor.dtype(), memory, 0, values);
    return values;
  }

  /** Fills {@code to} with the numbers from element {@code first} on. */
  static void read(SafetensorsDtype dtype, MemorySegment from, long first, double[] to) {
    for (int i = 0; i < to.length; i++) {
      long at = first + i;
      to[i] =
          switch (dtype) {
            case F64 -> from.getAtIndex(ValueLayout.JAVA_DOUBLE, at);
            case F32 -> from.getAtIndex(ValueLayout.JAVA_FLOAT, at);
            case BF16 ->
                Float.intBitsToFloat(from.getAtIndex(ValueLayout.JAVA_SHORT, at) << BF16_SHIFT);
            case F16 -> Float.float16ToFloat(from.getAtIndex(ValueLayout.JAVA_SHORT, at));
            default -> throw new IllegalArgumentException("no numbers of " + dtype);
          };
    }
  }

  /** Writes the first {@code count} numbers from element {@code first} on. */
  static void write(
      double[] from, SafetensorsDtype dtype, MemorySegment to, long first, int count) {
    for (int i = 0; i < count; i++) {
      long at = first + i;
      switch (dtype) {
        case F64 -> to.setAtIndex(ValueLayout.JAVA_DOUBLE, at, from[i]);
        case F32 -> to.setAtIndex(ValueLayout.JAVA_FLOAT, at, (float) from[i]);
        case BF16 -> to.setAtIndex(ValueLayout.JAVA_SHORT, at, bfloat16((float) from[i]));
        case F16 ->
            to.setAtIndex(ValueLayout.JAVA_SHORT, at, Float.floatToFloat16((float) from[i]));
        default -> throw new IllegalArgumentException("no numbers of " + dtype);
      }
    }
  }

  private static short bfloat16(float value) {
    int bits = Float.floatToRawIntBits(value);
    int rounded = Float.isNaN(value) ? bits | 0x400000 : bits + 0x7FFF + ((bits >>> 16) & 1);
    return (short) (rounded >>> BF16_SHIFT);
  }

  /** {@code into += factor x[start ..]}. */
  static void addScaled(double factor, double[] x, int start, double[] into) {
    for (int i = 0; i < into.length; i++) {
      into[i] += factor * x[start + i];
    }
  }

  /** A [columns, rows] matrix of a [rows, columns] one. */
  static double[] transposed(double[] x, int rows, int columns) {
    double[] result = new double[x.length];
    for (int r = 0; r < rows; r++) {
      for (int c = 0; c < columns; c++) {
        result[c * rows + r] = x[r * columns + c];
      }
    }
    return result;
  }
}
