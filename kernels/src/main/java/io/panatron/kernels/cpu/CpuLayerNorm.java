package io.panatron.kernels.cpu;

import static io.panatron.kernels.cpu.RowAccess.padded;
import static io.panatron.kernels.cpu.RowAccess.read;
import static io.panatron.kernels.cpu.RowAccess.write;
import static io.panatron.kernels.cpu.VectorMath.FLOATS;
import static io.panatron.kernels.cpu.VectorMath.LANES;

import io.panatron.kernels.DType;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Shape;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.host.HostMemory;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import org.jspecify.annotations.Nullable;

/**
 * {@code sum = x + delta}; {@code c = sum - mean(sum)}; {@code rstd = 1 / sqrt(mean(c^2) +
 * epsilon)}; {@code y = c rstd weight + bias}: the RMS norm of a centred row.
 *
 * <p>With {@code n = c rstd} and {@code g = dy weight}: {@code dx = dSum + rstd (g - mean(g) - n
 * mean(g n))}, which is the gradient of the RMS norm, centred, since the mean of {@code n} is 0.
 * {@code dWeight += sum over tokens of dy n}; {@code dBias += sum over tokens of dy}.
 */
final class CpuLayerNorm {
  // Rows of each worker.
  private static final int VALUES = 0;
  private static final int OTHER = 1;
  private static final int WEIGHT_SUMS = 2;
  private static final int BIAS_SUMS = 3;

  private final WorkerPool pool;
  private final RowBuffers buffers;

  /** Weight and bias, read once for a call and shared by its workers. */
  private final RowBuffers shared = new RowBuffers(1, 2);

  CpuLayerNorm(WorkerPool pool) {
    this.pool = pool;
    this.buffers = new RowBuffers(pool.threads(), 4);
  }

  void addLayerNormForward(
      Tensor x,
      @Nullable Tensor delta,
      Tensor weight,
      Tensor bias,
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
    reserve(hidden);
    float[] scale = shared(0, weight);
    float[] shift = shared(1, bias);
    Pieces rows = Pieces.ofRows(x.shape().rows(), hidden);
    pool.run(
        rows.count(),
        (worker, piece) -> {
          float[] values = buffers.row(worker, VALUES);
          float[] other = buffers.row(worker, OTHER);
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
            center(values, hidden);
            float r = NormRows.reciprocalRoot(values, 0, hidden, epsilon);
            statistics.set(ValueLayout.JAVA_FLOAT_UNALIGNED, 4 * row, r);
            NormRows.scale(values, 0, r, scale, hidden);
            NormRows.add(shift, values, hidden);
            write(dtype, values, out, base, hidden);
          }
        });
  }

  void addLayerNormBackward(
      MemoryScope scratch,
      Tensor sum,
      Tensor weight,
      Tensor rstd,
      Tensor dy,
      @Nullable Tensor dSum,
      Tensor dx,
      @Nullable Tensor dWeight,
      @Nullable Tensor dBias) {
    DType dtype = sum.dtype();
    int hidden = sum.shape().columns();
    long rowBytes = (long) hidden * sum.dtype().bytes();
    MemorySegment in = HostMemory.of(sum);
    MemorySegment statistics = HostMemory.of(rstd);
    MemorySegment upstream = HostMemory.of(dy);
    @Nullable MemorySegment other = dSum == null ? null : HostMemory.of(dSum);
    MemorySegment out = HostMemory.of(dx);
    reserve(hidden);
    float[] scale = shared(0, weight);
    Pieces rows = Pieces.ofSummedRows(sum.shape().rows(), hidden);
    Tensor partial =
        scratch.allocate("norm weight sums", DType.F32, Shape.of(rows.count(), 2, hidden));
    MemorySegment partialSums = HostMemory.of(partial);
    pool.run(
        rows.count(),
        (worker, piece) -> {
          float[] values = buffers.row(worker, VALUES);
          float[] gradient = buffers.row(worker, OTHER);
          float[] weightSums = buffers.row(worker, WEIGHT_SUMS);
          float[] biasSums = buffers.row(worker, BIAS_SUMS);
          Arrays.fill(weightSums, 0f);
          Arrays.fill(biasSums, 0f);
          long start = rows.start(piece);
          for (long row = start; row < start + rows.length(piece); row++) {
            long base = row * rowBytes;
            read(dtype, in, base, values, hidden);
            read(dtype, upstream, base, gradient, hidden);
            center(values, hidden);
            NormRows.add(gradient, biasSums, hidden);
            float r = statistics.get(ValueLayout.JAVA_FLOAT_UNALIGNED, 4 * row);
            NormRows.gradient(values, 0, r, scale, gradient, 0, weightSums, hidden);
            center(gradient, hidden);
            if (other != null) {
              read(dtype, other, base, values, hidden);
              NormRows.add(values, gradient, hidden);
            }
            write(dtype, gradient, out, base, hidden);
          }
          write(DType.F32, weightSums, partialSums, 8L * hidden * piece, hidden);
          write(DType.F32, biasSums, partialSums, 8L * hidden * piece + 4L * hidden, hidden);
        });
    int count = rows.count();
    if (dWeight != null) {
      CpuRmsNorm.addPartialSums(buffers, partialSums, 0, 2 * hidden, count, dWeight);
    }
    if (dBias != null) {
      CpuRmsNorm.addPartialSums(buffers, partialSums, hidden, 2 * hidden, count, dBias);
    }
    scratch.release(partial);
  }

  /** Takes its mean off a row; the rest of the last vector stays zero. */
  private static void center(float[] x, int n) {
    subtractMean(x, n);
    int end = padded(n);
    if (end > n) {
      Arrays.fill(x, n, end, 0f);
    }
  }

  /** {@code x -= mean(x)}, to the end of the last vector, which must hold zeros behind the row. */
  static void subtractMean(float[] x, int n) {
    FloatVector total = FloatVector.zero(FLOATS);
    for (int i = 0; i < n; i += LANES) {
      total = FloatVector.fromArray(FLOATS, x, i).add(total);
    }
    int lanes = x.length - LANES;
    total.intoArray(x, lanes);
    float mean = VectorMath.sumLanes(x, lanes) / n;
    for (int i = 0; i < n; i += LANES) {
      FloatVector.fromArray(FLOATS, x, i).sub(mean).intoArray(x, i);
    }
  }

  private void reserve(int hidden) {
    buffers.reserve(hidden);
    shared.reserve(hidden);
  }

  private float[] shared(int index, Tensor vector) {
    float[] row = shared.row(0, index);
    read(vector.dtype(), HostMemory.of(vector), 0, row, vector.shape().columns());
    return row;
  }
}
