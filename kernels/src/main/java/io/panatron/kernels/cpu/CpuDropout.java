package io.panatron.kernels.cpu;

import static io.panatron.kernels.cpu.RowAccess.read;
import static io.panatron.kernels.cpu.RowAccess.write;
import static io.panatron.kernels.cpu.VectorMath.FLOATS;
import static io.panatron.kernels.cpu.VectorMath.LANES;

import io.panatron.kernels.DType;
import io.panatron.kernels.DropoutMask;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.host.HostMemory;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;

/** {@code y = x factor} where an element is kept, else 0; the factors are {@link DropoutRows}'. */
final class CpuDropout {
  private final WorkerPool pool;
  private final RowBuffers buffers;

  CpuDropout(WorkerPool pool) {
    this.pool = pool;
    this.buffers = new RowBuffers(pool.threads(), 2);
  }

  /** See {@link io.panatron.kernels.Backend#dropout}. */
  void dropout(Tensor x, DropoutMask mask, Tensor y) {
    DType dtype = x.dtype();
    int columns = x.shape().columns();
    long rowBytes = (long) columns * x.dtype().bytes();
    MemorySegment from = HostMemory.of(x);
    MemorySegment to = HostMemory.of(y);
    buffers.reserve(DropoutRows.room(columns));
    Pieces rows = Pieces.ofRows(x.shape().extent(0), columns);
    pool.run(
        rows.count(),
        (worker, piece) -> {
          float[] values = buffers.row(worker, 0);
          float[] factors = buffers.row(worker, 1);
          long start = rows.start(piece);
          for (long row = start; row < start + rows.length(piece); row++) {
            DropoutRows.factors(mask, (int) row, 0, 0, columns, factors);
            read(dtype, from, row * rowBytes, values, columns);
            multiply(values, factors, columns);
            write(dtype, values, to, row * rowBytes, columns);
          }
        });
  }

  /** {@code x *= factors}. */
  static void multiply(float[] x, float[] factors, int n) {
    for (int i = 0; i < n; i += LANES) {
      FloatVector.fromArray(FLOATS, x, i)
          .mul(FloatVector.fromArray(FLOATS, factors, i))
          .intoArray(x, i);
    }
  }
}
