package io.panatron.kernels.cpu;

import static io.panatron.kernels.cpu.RowAccess.read;
import static io.panatron.kernels.cpu.RowAccess.write;
import static io.panatron.kernels.cpu.RowBuffers.STRETCH;
import static io.panatron.kernels.cpu.VectorMath.FLOATS;
import static io.panatron.kernels.cpu.VectorMath.LANES;

import io.panatron.kernels.DType;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.host.HostMemory;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;

/**
 * Filling, copying, adding and scaling; arithmetic in F32, rounded once where it is stored.
 *
 * <p>{@code fill} and {@code copy} take every floating dtype, {@code add} and {@code scale} those
 * in which the backend computes.
 */
final class CpuElementwise {
  private final WorkerPool pool;
  private final RowBuffers buffers;

  CpuElementwise(WorkerPool pool) {
    this.pool = pool;
    this.buffers = new RowBuffers(pool.threads(), 2);
    this.buffers.reserve(STRETCH);
  }

  void fill(Tensor x, double value) {
    DType dtype = x.dtype();
    MemorySegment segment = HostMemory.of(x);
    boolean zeroBits = Double.doubleToRawLongBits(value) == 0;
    Pieces pieces = Pieces.ofElements(x.elements());
    pool.run(
        pieces.count(),
        (worker, piece) -> {
          long start = pieces.start(piece);
          int n = pieces.length(piece);
          if (zeroBits) {
            segment.asSlice(start * dtype.bytes(), (long) n * dtype.bytes()).fill((byte) 0);
          } else if (RowAccess.reads(dtype)) {
            fillPiece(dtype, segment, start, n, (float) value, buffers.row(worker, 0));
          } else {
            for (long i = start; i < start + n; i++) {
              ScalarAccess.write(dtype, segment, i, value);
            }
          }
        });
  }

  void copy(Tensor from, Tensor to) {
    MemorySegment source = HostMemory.of(from);
    MemorySegment target = HostMemory.of(to);
    DType read = from.dtype();
    DType written = to.dtype();
    Pieces pieces = Pieces.ofElements(from.elements());
    pool.run(
        pieces.count(),
        (worker, piece) -> {
          long start = pieces.start(piece);
          int n = pieces.length(piece);
          if (read == written) {
            long offset = start * read.bytes();
            MemorySegment.copy(source, offset, target, offset, (long) n * read.bytes());
          } else if (RowAccess.reads(read) && RowAccess.reads(written)) {
            convertPiece(read, written, source, target, start, n, buffers.row(worker, 0));
          } else {
            for (long i = start; i < start + n; i++) {
              ScalarAccess.write(written, target, i, ScalarAccess.read(read, source, i));
            }
          }
        });
  }

  void add(Tensor x, Tensor into) {
    requireVector("add", x);
    MemorySegment addend = HostMemory.of(x);
    MemorySegment target = HostMemory.of(into);
    DType addendDType = x.dtype();
    DType targetDType = into.dtype();
    Pieces pieces = Pieces.ofElements(x.elements());
    pool.run(
        pieces.count(),
        (worker, piece) ->
            addPiece(
                addendDType,
                addend,
                targetDType,
                target,
                pieces.start(piece),
                pieces.length(piece),
                worker));
  }

  void scale(Tensor x, double factor) {
    requireVector("scale", x);
    MemorySegment segment = HostMemory.of(x);
    DType dtype = x.dtype();
    Pieces pieces = Pieces.ofElements(x.elements());
    pool.run(
        pieces.count(),
        (worker, piece) ->
            scalePiece(
                dtype,
                segment,
                pieces.start(piece),
                pieces.length(piece),
                (float) factor,
                buffers.row(worker, 0)));
  }

  private static void fillPiece(
      DType dtype, MemorySegment x, long start, int n, float value, float[] row) {
    int bytes = dtype.bytes();
    Arrays.fill(row, value);
    for (int first = 0; first < n; first += STRETCH) {
      write(dtype, row, x, (start + first) * bytes, Math.min(STRETCH, n - first));
    }
  }

  /** Through F32, which holds both exactly: one rounding. */
  private static void convertPiece(
      DType read,
      DType written,
      MemorySegment from,
      MemorySegment to,
      long start,
      int n,
      float[] row) {
    for (int first = 0; first < n; first += STRETCH) {
      int count = Math.min(STRETCH, n - first);
      RowAccess.read(read, from, (start + first) * read.bytes(), row, count);
      RowAccess.write(written, row, to, (start + first) * written.bytes(), count);
    }
  }

  private void addPiece(
      DType addendDType,
      MemorySegment addend,
      DType targetDType,
      MemorySegment target,
      long start,
      int n,
      int worker) {
    float[] added = buffers.row(worker, 0);
    float[] sums = buffers.row(worker, 1);
    int addendBytes = addendDType.bytes();
    int targetBytes = targetDType.bytes();
    for (int first = 0; first < n; first += STRETCH) {
      int count = Math.min(STRETCH, n - first);
      read(addendDType, addend, (start + first) * addendBytes, added, count);
      read(targetDType, target, (start + first) * targetBytes, sums, count);
      NormRows.add(added, sums, count);
      write(targetDType, sums, target, (start + first) * targetBytes, count);
    }
  }

  private static void scalePiece(
      DType dtype, MemorySegment x, long start, int n, float factor, float[] row) {
    int bytes = dtype.bytes();
    for (int first = 0; first < n; first += STRETCH) {
      int count = Math.min(STRETCH, n - first);
      read(dtype, x, (start + first) * bytes, row, count);
      scaleRow(row, factor, count);
      write(dtype, row, x, (start + first) * bytes, count);
    }
  }

  static void scaleRow(float[] x, float factor, int n) {
    for (int i = 0; i < n; i += LANES) {
      FloatVector.fromArray(FLOATS, x, i).mul(factor).intoArray(x, i);
    }
  }

  private static void requireVector(String operation, Tensor x) {
    if (!RowAccess.reads(x.dtype())) {
      throw new IllegalArgumentException(
          operation + ": x is " + x + "; the cpu computes in F32, BF16 and F16");
    }
  }
}
