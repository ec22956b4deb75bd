package io.panatron.kernels.cpu;

import io.panatron.kernels.DType;
import io.panatron.kernels.Reduction;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.function.DoubleBinaryOperator;

/**
 * Reduces tensors of several ranks in host memory, in the order of the ranks, so that the bits do
 * not depend on who computes them. BF16 and F16 are summed in F32 and rounded once.
 *
 * <p>A stretch of each tensor at a time passes through the L1 cache: every element is read once and
 * written once. One thread uses an instance.
 */
public final class PeerReduction {
  /** Elements; two buffers of them leave half of an L1 cache of 32 KiB to what is read. */
  private static final int STRETCH = 2048;

  private final float[] sums = new float[STRETCH];
  private final float[] addends = new float[STRETCH];

  /** Whether tensors of this dtype can be reduced. */
  public static boolean reduces(DType dtype) {
    return switch (dtype) {
      case F64, F32, BF16, F16 -> true;
      case F8_E4M3, I16, I32 -> false;
    };
  }

  /**
   * Writes the reduction of {@code from} to each of {@code to}, which may be among {@code from}.
   *
   * @param dtype one that {@link #reduces} names
   * @param from as many bytes each as the first
   * @param to as many bytes each
   */
  public void reduce(
      DType dtype, Reduction reduction, List<MemorySegment> from, List<MemorySegment> to) {
    long bytes = from.getFirst().byteSize();
    long stretch = (long) STRETCH * dtype.bytes();
    for (long offset = 0; offset < bytes; offset += stretch) {
      int n = (int) (Math.min(stretch, bytes - offset) / dtype.bytes());
      if (dtype == DType.F64) {
        reduceDoubles(reduction, from, to, offset, n);
      } else {
        reduceFloats(dtype, reduction, from, to, offset, n);
      }
    }
  }

  private void reduceFloats(
      DType dtype,
      Reduction reduction,
      List<MemorySegment> from,
      List<MemorySegment> to,
      long offset,
      int n) {
    RowAccess.read(dtype, from.getFirst(), offset, sums, n);
    for (int rank = 1; rank < from.size(); rank++) {
      RowAccess.read(dtype, from.get(rank), offset, addends, n);
      switch (reduction) {
        case SUM -> add(sums, addends, n);
        case MAX -> max(sums, addends, n);
      }
    }
    for (MemorySegment target : to) {
      RowAccess.write(dtype, sums, target, offset, n);
    }
  }

  // Plain loops over arrays, which the compiler turns into vectors.

  private static void add(float[] sums, float[] addends, int n) {
    for (int i = 0; i < n; i++) {
      sums[i] += addends[i];
    }
  }

  private static void max(float[] largest, float[] others, int n) {
    for (int i = 0; i < n; i++) {
      largest[i] = Math.max(largest[i], others[i]);
    }
  }

  /** For the reference backend alone, so element by element. */
  private static void reduceDoubles(
      Reduction reduction, List<MemorySegment> from, List<MemorySegment> to, long offset, int n) {
    DoubleBinaryOperator combine =
        switch (reduction) {
          case SUM -> Double::sum;
          case MAX -> Math::max;
        };
    for (int i = 0; i < n; i++) {
      long position = offset + (long) i * Double.BYTES;
      double value = from.getFirst().get(ValueLayout.JAVA_DOUBLE_UNALIGNED, position);
      for (int rank = 1; rank < from.size(); rank++) {
        value =
            combine.applyAsDouble(
                value, from.get(rank).get(ValueLayout.JAVA_DOUBLE_UNALIGNED, position));
      }
      for (MemorySegment target : to) {
        target.set(ValueLayout.JAVA_DOUBLE_UNALIGNED, position, value);
      }
    }
  }
}
