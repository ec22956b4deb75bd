package io.panatron.kernels.cpu;

import static io.panatron.kernels.cpu.RowAccess.read;
import static io.panatron.kernels.cpu.RowAccess.write;

import io.panatron.kernels.DType;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Shape;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.host.HostMemory;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * {@code sum = x + delta}; {@code rstd = 1 / sqrt(mean(sum^2) + epsilon)}; {@code y = sum rstd
 * weight}.
 *
 * <p>With {@code n = sum rstd} and {@code g = dy weight}: {@code dx = dSum + rstd (g - n mean(g
 * n))}; {@code dWeight += sum over tokens of dy n}.
 */
final class CpuRmsNorm {
  private final WorkerPool pool;
  private final RowBuffers buffers;

  /** The weight, read once for a call and shared by its workers. */
  private final RowBuffers shared = new RowBuffers(1, 1);

  CpuRmsNorm(WorkerPool pool) {
    this.pool = pool;
    this.buffers = new RowBuffers(pool.threads(), 3);
  }

  void addRmsNormForward(
      Tensor x,
      @Nullable Tensor delta,
      Tensor weight,
      double epsilon,
      @Nullable Tensor sum,
      Tensor y,
      Tensor rstd) {
    DType dtype = x.dtype();
    int hidden = x.shape().columns();
    long rowBytes = (long) hidden * x.dtype().bytes();
    MemorySegment in = HostMemory.of(x);
    @Nullable MemorySegment addend = delta == null ? null : HostMemory.of(delta);
    MemorySegment summed = sum == null ? in : HostMemory.of(sum);
    MemorySegment out = HostMemory.of(y);
    MemorySegment statistics = HostMemory.of(rstd);
    float[] scale = readWeight(weight, hidden);
    Pieces rows = Pieces.ofRows(x.shape().rows(), hidden);
    pool.run(
        rows.count(),
        (worker, piece) -> {
          float[] values = buffers.row(worker, 0);
          float[] other = buffers.row(worker, 1);
          long start = rows.start(piece);
          for (long row = start; row < start + rows.length(piece); row++) {
            long base = row * rowBytes;
            read(dtype, in, base, values, hidden);
            if (addend != null) {
              read(dtype, addend, base, other, hidden);
              NormRows.add(other, values, hidden);
              write(dtype, values, summed, base, hidden);
              if (dtype != DType.F32) {
                read(dtype, summed, base, values, hidden); // the norm is of the rounded sum
              }
            }
            float r = NormRows.reciprocalRoot(values, 0, hidden, epsilon);
            statistics.set(ValueLayout.JAVA_FLOAT_UNALIGNED, 4 * row, r);
            NormRows.scale(values, 0, r, scale, hidden);
            write(dtype, values, out, base, hidden);
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
      @Nullable Tensor dWeight) {
    DType dtype = sum.dtype();
    int hidden = sum.shape().columns();
    long rowBytes = (long) hidden * sum.dtype().bytes();
    MemorySegment in = HostMemory.of(sum);
    MemorySegment statistics = HostMemory.of(rstd);
    MemorySegment upstream = HostMemory.of(dy);
    @Nullable MemorySegment other = dSum == null ? null : HostMemory.of(dSum);
    MemorySegment out = HostMemory.of(dx);
    float[] scale = readWeight(weight, hidden);
    Pieces rows = Pieces.ofSummedRows(sum.shape().rows(), hidden);
    Tensor partial =
        scratch.allocate("norm weight sums", DType.F32, Shape.of(rows.count(), hidden));
    MemorySegment partialSums = HostMemory.of(partial);
    pool.run(
        rows.count(),
        (worker, piece) -> {
          float[] values = buffers.row(worker, 0);
          float[] gradient = buffers.row(worker, 1);
          float[] sums = buffers.row(worker, 2);
          Arrays.fill(sums, 0f);
          long start = rows.start(piece);
          for (long row = start; row < start + rows.length(piece); row++) {
            long base = row * rowBytes;
            read(dtype, in, base, values, hidden);
            read(dtype, upstream, base, gradient, hidden);
            float r = statistics.get(ValueLayout.JAVA_FLOAT_UNALIGNED, 4 * row);
            NormRows.gradient(values, 0, r, scale, gradient, 0, sums, hidden);
            if (other != null) {
              read(dtype, other, base, values, hidden);
              NormRows.add(values, gradient, hidden);
            }
            write(dtype, gradient, out, base, hidden);
          }
          write(DType.F32, sums, partialSums, 4L * hidden * piece, hidden);
        });
    if (dWeight != null) {
      addPartialSums(buffers, partialSums, 0, hidden, rows.count(), dWeight);
    }
    scratch.release(partial);
  }

  private float[] readWeight(Tensor weight, int hidden) {
    buffers.reserve(hidden);
    shared.reserve(hidden);
    float[] row = shared.row(0, 0);
    read(weight.dtype(), HostMemory.of(weight), 0, row, hidden);
    return row;
  }

  /**
   * Adds rows of partial sums to {@code total}, in their order.
   *
   * @param buffers of which the first worker's first two rows are used
   * @param first element of the first row
   * @param stride elements from one row to the next
   */
  static void addPartialSums(
      RowBuffers buffers, MemorySegment rows, int first, int stride, int count, Tensor total) {
    int n = total.shape().columns();
    MemorySegment target = HostMemory.of(total);
    float[] sums = buffers.row(0, 0);
    float[] row = buffers.row(0, 1);
    read(DType.F32, target, 0, sums, n);
    for (int piece = 0; piece < count; piece++) {
      read(DType.F32, rows, 4 * (first + (long) piece * stride), row, n);
      NormRows.add(row, sums, n);
    }
    write(DType.F32, sums, target, 0, n);
  }
}
