package io.panatron.kernels.cpu;

import static io.panatron.kernels.cpu.VectorAccess.load;
import static io.panatron.kernels.cpu.VectorAccess.store;
import static io.panatron.kernels.cpu.VectorMath.FLOATS;
import static io.panatron.kernels.cpu.VectorMath.LANES;

import io.panatron.kernels.DType;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Shape;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.host.HostMemory;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;
import org.jspecify.annotations.Nullable;

/**
 * {@code sum = x + delta}; {@code rstd = 1 / sqrt(mean(sum^2) + epsilon)}; {@code y = sum rstd weight}.
 *
 * <p>With {@code n = sum rstd} and {@code g = dy weight}: {@code dx = dSum + rstd (g - n mean(g n))};
 * {@code dWeight += sum over tokens of dy n}. A row is read twice, the second time from the L1 cache.
 */
final class CpuRmsNorm {
  private final WorkerPool pool;

  CpuRmsNorm(WorkerPool pool) {
    this.pool = pool;
  }

  void addRmsNormForward(
      Tensor x,
      @Nullable Tensor delta,
      Tensor weight,
      double epsilon,
      @Nullable Tensor sum,
      Tensor y,
      Tensor rstd) {
    boolean bf16 = x.dtype() == DType.BF16;
    int hidden = x.shape().columns();
    long rowBytes = (long) hidden * x.dtype().bytes();
    MemorySegment in = HostMemory.of(x);
    @Nullable MemorySegment addend = delta == null ? null : HostMemory.of(delta);
    MemorySegment summed = sum == null ? in : HostMemory.of(sum);
    MemorySegment scale = HostMemory.of(weight);
    MemorySegment out = HostMemory.of(y);
    MemorySegment statistics = HostMemory.of(rstd);
    Pieces rows = Pieces.ofRows(x.shape().rows(), hidden);
    pool.run(
        rows.count(),
        (worker, piece) -> {
          long start = rows.start(piece);
          for (long row = start; row < start + rows.length(piece); row++) {
            long base = row * rowBytes;
            float squares =
                addend == null
                    ? sumOfSquares(bf16, in, base, hidden)
                    : addRow(bf16, in, addend, summed, base, hidden);
            float r = reciprocalRoot(squares, hidden, epsilon);
            statistics.set(ValueLayout.JAVA_FLOAT_UNALIGNED, 4 * row, r);
            scaleRow(bf16, summed, scale, r, out, base, hidden);
          }
        });
  }

  void addRmsNormBackward(
      MemoryScope scratch,
      Tensor sum,
      Tensor weight,
      Tensor rstd,
      Tensor dy,
      @Nullable Tensor dSum,
      Tensor dx,
      Tensor dWeight) {
    boolean bf16 = sum.dtype() == DType.BF16;
    int hidden = sum.shape().columns();
    long rowBytes = (long) hidden * sum.dtype().bytes();
    MemorySegment in = HostMemory.of(sum);
    MemorySegment scale = HostMemory.of(weight);
    MemorySegment statistics = HostMemory.of(rstd);
    MemorySegment upstream = HostMemory.of(dy);
    @Nullable MemorySegment other = dSum == null ? null : HostMemory.of(dSum);
    MemorySegment out = HostMemory.of(dx);
    Pieces rows = Pieces.ofSummedRows(sum.shape().rows(), hidden);
    Tensor partial = scratch.allocate("norm weight sums", DType.F32, Shape.of(rows.count(), hidden));
    MemorySegment sums = HostMemory.of(partial);
    pool.run(
        rows.count(),
        (worker, piece) -> {
          long sumBase = 4L * hidden * piece;
          sums.asSlice(sumBase, 4L * hidden).fill((byte) 0);
          long start = rows.start(piece);
          for (long row = start; row < start + rows.length(piece); row++) {
            long base = row * rowBytes;
            float r = statistics.get(ValueLayout.JAVA_FLOAT_UNALIGNED, 4 * row);
            float product =
                weightGradient(bf16, in, scale, r, upstream, base, sums, sumBase, hidden);
            inputGradient(
                bf16, in, scale, r, product / hidden, upstream, other, out, base, hidden);
          }
        });
    addPartialSums(sums, 0, hidden, rows.count(), HostMemory.of(dWeight), hidden);
    scratch.release(partial);
  }

  /** {@code 1 / sqrt(squares / n + epsilon)}. */
  static float reciprocalRoot(float squares, int n, double epsilon) {
    return (float) (1 / Math.sqrt((double) squares / n + epsilon));
  }

  /** The sum of squares of a row. */
  static float sumOfSquares(boolean bf16, MemorySegment x, long base, int n) {
    FloatVector squares = FloatVector.zero(FLOATS);
    for (int i = 0; i < n; i += LANES) {
      FloatVector value = load(bf16, x, base, i, n);
      squares = value.fma(value, squares);
    }
    return VectorMath.sum(squares);
  }

  /**
   * Adds rows of F32 partial sums to {@code total}, in their order.
   *
   * @param first element of the first partial row
   * @param stride elements from one partial row to the next
   */
  static void addPartialSums(
      MemorySegment sums, long first, int stride, int count, MemorySegment total, int n) {
    for (int piece = 0; piece < count; piece++) {
      long base = 4 * (first + (long) piece * stride);
      for (int i = 0; i < n; i += LANES) {
        FloatVector added = load(false, total, 0, i, n).add(load(false, sums, base, i, n));
        store(false, added, total, 0, i, n);
      }
    }
  }

  /** Stores the sum and returns the sum of its squares. */
  private static float addRow(
      boolean bf16, MemorySegment x, MemorySegment delta, MemorySegment sum, long base, int n) {
    FloatVector squares = FloatVector.zero(FLOATS);
    for (int i = 0; i < n; i += LANES) {
      FloatVector added = load(bf16, x, base, i, n).add(load(bf16, delta, base, i, n));
      FloatVector stored = store(bf16, added, sum, base, i, n);
      squares = stored.fma(stored, squares);
    }
    return VectorMath.sum(squares);
  }

  private static void scaleRow(
      boolean bf16,
      MemorySegment x,
      MemorySegment weight,
      float rstd,
      MemorySegment y,
      long base,
      int n) {
    for (int i = 0; i < n; i += LANES) {
      FloatVector normed = load(bf16, x, base, i, n).mul(rstd);
      store(bf16, normed.mul(load(bf16, weight, 0, i, n)), y, base, i, n);
    }
  }

  /** Adds {@code dy n} to the partial sums and returns the sum of {@code dy weight n}. */
  private static float weightGradient(
      boolean bf16,
      MemorySegment x,
      MemorySegment weight,
      float rstd,
      MemorySegment dy,
      long base,
      MemorySegment sums,
      long sumBase,
      int n) {
    FloatVector product = FloatVector.zero(FLOATS);
    for (int i = 0; i < n; i += LANES) {
      FloatVector gradient = load(bf16, x, base, i, n).mul(rstd).mul(load(bf16, dy, base, i, n));
      store(false, load(false, sums, sumBase, i, n).add(gradient), sums, sumBase, i, n);
      product = gradient.fma(load(bf16, weight, 0, i, n), product);
    }
    return VectorMath.sum(product);
  }

  private static void inputGradient(
      boolean bf16,
      MemorySegment x,
      MemorySegment weight,
      float rstd,
      float meanProduct,
      MemorySegment dy,
      @Nullable MemorySegment dSum,
      MemorySegment dx,
      long base,
      int n) {
    FloatVector slope = FloatVector.broadcast(FLOATS, -rstd * meanProduct);
    for (int i = 0; i < n; i += LANES) {
      FloatVector g = load(bf16, dy, base, i, n).mul(load(bf16, weight, 0, i, n));
      FloatVector gradient = load(bf16, x, base, i, n).fma(slope, g).mul(rstd);
      if (dSum != null) {
        gradient = gradient.add(load(bf16, dSum, base, i, n));
      }
      store(bf16, gradient, dx, base, i, n);
    }
  }
}
