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
          } else if (isVector(dtype)) {
            fillPiece(
                dtype == DType.BF16, segment, start, n, (float) value, buffers.row(worker, 0));
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
          } else if (isVector(read) && isVector(written)) {
            convertPiece(read == DType.BF16, source, target, start, n, buffers.row(worker, 0));
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
    boolean addendBf16 = x.dtype() == DType.BF16;
    boolean targetBf16 = into.dtype() == DType.BF16;
    Pieces pieces = Pieces.ofElements(x.elements());
    pool.run(
        pieces.count(),
        (worker, piece) ->
            addPiece(
                addendBf16,
                addend,
                targetBf16,
                target,
                pieces.start(piece),
                pieces.length(piece),
                worker));
  }

  void scale(Tensor x, double factor) {
    requireVector("scale", x);
    MemorySegment segment = HostMemory.of(x);
    boolean bf16 = x.dtype() == DType.BF16;
    Pieces pieces = Pieces.ofElements(x.elements());
    pool.run(
        pieces.count(),
        (worker, piece) ->
            scalePiece(
                bf16,
                segment,
                pieces.start(piece),
                pieces.length(piece),
                (float) factor,
                buffers.row(worker, 0)));
  }

  private static void fillPiece(
      boolean bf16, MemorySegment x, long start, int n, float value, float[] row) {
    int bytes = bf16 ? 2 : 4;
    Arrays.fill(row, value);
    for (int first = 0; first < n; first += STRETCH) {
      write(bf16, row, x, (start + first) * bytes, Math.min(STRETCH, n - first));
    }
  }

  /** From BF16 to F32, or the other way. */
  private static void convertPiece(
      boolean fromBf16, MemorySegment from, MemorySegment to, long start, int n, float[] row) {
    int fromBytes = fromBf16 ? 2 : 4;
    int toBytes = fromBf16 ? 4 : 2;
    for (int first = 0; first < n; first += STRETCH) {
      int count = Math.min(STRETCH, n - first);
      read(fromBf16, from, (start + first) * fromBytes, row, count);
      write(!fromBf16, row, to, (start + first) * toBytes, count);
    }
  }

  private void addPiece(
      boolean addendBf16,
      MemorySegment addend,
      boolean targetBf16,
      MemorySegment target,
      long start,
      int n,
      int worker) {
    float[] added = buffers.row(worker, 0);
    float[] sums = buffers.row(worker, 1);
    int addendBytes = addendBf16 ? 2 : 4;
    int targetBytes = targetBf16 ? 2 : 4;
    for (int first = 0; first < n; first += STRETCH) {
      int count = Math.min(STRETCH, n - first);
      read(addendBf16, addend, (start + first) * addendBytes, added, count);
      read(targetBf16, target, (start + first) * targetBytes, sums, count);
      NormRows.add(added, sums, count);
      write(targetBf16, sums, target, (start + first) * targetBytes, count);
    }
  }

  private static void scalePiece(
      boolean bf16, MemorySegment x, long start, int n, float factor, float[] row) {
    int bytes = bf16 ? 2 : 4;
    for (int first = 0; first < n; first += STRETCH) {
      int count = Math.min(STRETCH, n - first);
      read(bf16, x, (start + first) * bytes, row, count);
      scaleRow(row, factor, count);
      write(bf16, row, x, (start + first) * bytes, count);
    }
  }

  static void scaleRow(float[] x, float factor, int n) {
    for (int i = 0; i < n; i += LANES) {
      FloatVector.fromArray(FLOATS, x, i).mul(factor).intoArray(x, i);
    }
  }

  private static boolean isVector(DType dtype) {
    return dtype == DType.F32 || dtype == DType.BF16;
  }

  private static void requireVector(String operation, Tensor x) {
    if (!isVector(x.dtype())) {
      throw new IllegalArgumentException(
          operation + ": x is " + x + "; the cpu computes in F32 and BF16");
    }
  }
}
