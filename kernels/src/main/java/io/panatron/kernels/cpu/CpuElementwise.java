package io.panatron.kernels.cpu;

import static io.panatron.kernels.cpu.VectorAccess.load;
import static io.panatron.kernels.cpu.VectorAccess.store;
import static io.panatron.kernels.cpu.VectorMath.FLOATS;
import static io.panatron.kernels.cpu.VectorMath.LANES;

import io.panatron.kernels.DType;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.host.HostMemory;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;

/**
 * Filling, copying, adding and scaling; arithmetic in F32, rounded once where it is stored.
 *
 * <p>{@code fill} and {@code copy} take every floating dtype, {@code add} and {@code scale} those in
 * which the backend computes.
 */
final class CpuElementwise {
  private final WorkerPool pool;

  CpuElementwise(WorkerPool pool) {
    this.pool = pool;
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
            fillPiece(dtype == DType.BF16, segment, start, n, (float) value);
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
            convertPiece(read == DType.BF16, source, target, start, n);
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
                pieces.length(piece)));
  }

  void scale(Tensor x, double factor) {
    requireVector("scale", x);
    MemorySegment segment = HostMemory.of(x);
    boolean bf16 = x.dtype() == DType.BF16;
    Pieces pieces = Pieces.ofElements(x.elements());
    pool.run(
        pieces.count(),
        (worker, piece) ->
            scalePiece(bf16, segment, pieces.start(piece), pieces.length(piece), (float) factor));
  }

  private static void fillPiece(boolean bf16, MemorySegment x, long start, int n, float value) {
    long base = (bf16 ? 2 : 4) * start;
    FloatVector values = FloatVector.broadcast(FLOATS, value);
    for (int i = 0; i < n; i += LANES) {
      store(bf16, values, x, base, i, n);
    }
  }

  /** From BF16 to F32, or the other way. */
  private static void convertPiece(
      boolean fromBf16, MemorySegment from, MemorySegment to, long start, int n) {
    long fromBase = (fromBf16 ? 2 : 4) * start;
    long toBase = (fromBf16 ? 4 : 2) * start;
    for (int i = 0; i < n; i += LANES) {
      store(!fromBf16, load(fromBf16, from, fromBase, i, n), to, toBase, i, n);
    }
  }

  private static void addPiece(
      boolean addendBf16,
      MemorySegment addend,
      boolean targetBf16,
      MemorySegment target,
      long start,
      int n) {
    long addendBase = (addendBf16 ? 2 : 4) * start;
    long base = (targetBf16 ? 2 : 4) * start;
    for (int i = 0; i < n; i += LANES) {
      FloatVector sum =
          load(addendBf16, addend, addendBase, i, n).add(load(targetBf16, target, base, i, n));
      store(targetBf16, sum, target, base, i, n);
    }
  }

  private static void scalePiece(boolean bf16, MemorySegment x, long start, int n, float factor) {
    long base = (bf16 ? 2 : 4) * start;
    for (int i = 0; i < n; i += LANES) {
      store(bf16, load(bf16, x, base, i, n).mul(factor), x, base, i, n);
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
