package io.panatron.kernels.cpu;

import io.panatron.kernels.Backend.HeadNorm;
import io.panatron.kernels.DType;
import io.panatron.kernels.HeadGeometry;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.RotaryTable;
import io.panatron.kernels.Shape;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.host.HostMemory;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.jspecify.annotations.Nullable;

/**
 * Cuts [tokens, fusedColumns] into query, key and value heads, norms query and key heads if asked
 * and turns them by their positions, in one pass over memory; the gradient turns back and goes
 * through the norm.
 *
 * <p><b>Errors</b>: a position outside the rotary table throws {@link IllegalArgumentException}
 * before anything is written.
 */
final class CpuSplitHeads {
  private final WorkerPool pool;
  private final RowBuffers buffers;

  /** The norms' weights, read once for a call and shared by its workers. */
  private final RowBuffers shared = new RowBuffers(1, 2);

  CpuSplitHeads(WorkerPool pool) {
    this.pool = pool;
    this.buffers = new RowBuffers(pool.threads(), HeadRows.ROWS);
  }

  void splitHeadsForward(
      Tensor qkv,
      HeadGeometry geometry,
      Tensor positions,
      RotaryTable rotary,
      @Nullable HeadNorm norm,
      Tensor q,
      Tensor k,
      Tensor v,
      @Nullable Tensor rstd) {
    checkPositions(positions, rotary);
    HeadRows rows =
        new HeadRows(buffers, shared, qkv.dtype(), geometry, positions, rotary, norm, rstd);
    MemorySegment fused = HostMemory.of(qkv);
    MemorySegment queries = HostMemory.of(q);
    MemorySegment keys = HostMemory.of(k);
    MemorySegment values = HostMemory.of(v);
    Pieces tokens = Pieces.ofRows(positions.elements(), geometry.fusedColumns());
    pool.run(
        tokens.count(),
        (worker, piece) -> {
          long start = tokens.start(piece);
          for (long t = start; t < start + tokens.length(piece); t++) {
            rows.forward(worker, t, fused, queries, keys, values);
          }
        });
  }

  void splitHeadsBackward(
      MemoryScope scratch,
      @Nullable Tensor qkv,
      HeadGeometry geometry,
      Tensor positions,
      RotaryTable rotary,
      @Nullable HeadNorm norm,
      @Nullable Tensor rstd,
      Tensor dq,
      Tensor dk,
      Tensor dv,
      Tensor dqkv,
      @Nullable Tensor dQueryWeight,
      @Nullable Tensor dKeyWeight) {
    checkPositions(positions, rotary);
    HeadRows rows =
        new HeadRows(buffers, shared, dqkv.dtype(), geometry, positions, rotary, norm, rstd);
    @Nullable MemorySegment fused = qkv == null ? null : HostMemory.of(qkv);
    MemorySegment dQueries = HostMemory.of(dq);
    MemorySegment dKeys = HostMemory.of(dk);
    MemorySegment dValues = HostMemory.of(dv);
    MemorySegment dFused = HostMemory.of(dqkv);
    Pieces tokens = Pieces.ofSummedRows(positions.elements(), geometry.fusedColumns());
    int dim = geometry.headDim();
    Tensor partial =
        scratch.allocate("head weight sums", DType.F32, Shape.of(tokens.count(), 2, dim));
    MemorySegment partialSums = HostMemory.of(partial);
    pool.run(
        tokens.count(),
        (worker, piece) -> {
          rows.clearSums(worker);
          long start = tokens.start(piece);
          for (long t = start; t < start + tokens.length(piece); t++) {
            rows.backward(worker, t, fused, dQueries, dKeys, dValues, dFused);
          }
          rows.writeSums(worker, partialSums, 8L * dim * piece);
        });
    int count = tokens.count();
    if (dQueryWeight != null) {
      CpuRmsNorm.addPartialSums(buffers, partialSums, 0, 2 * dim, count, dQueryWeight);
    }
    if (dKeyWeight != null) {
      CpuRmsNorm.addPartialSums(buffers, partialSums, dim, 2 * dim, count, dKeyWeight);
    }
    scratch.release(partial);
  }

  private static void checkPositions(Tensor positions, RotaryTable rotary) {
    MemorySegment segment = HostMemory.of(positions);
    long tokens = positions.elements();
    int limit = rotary.positions();
    for (long t = 0; t < tokens; t++) {
      int position = segment.get(ValueLayout.JAVA_INT_UNALIGNED, 4 * t);
      if (position < 0 || position >= limit) {
        throw new IllegalArgumentException(
            "splitHeads: position "
                + position
                + " of token "
                + t
                + " is outside the rotary table's "
                + limit
                + " rows");
      }
    }
  }
}
