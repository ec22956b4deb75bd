package io.panatron.kernels.cpu;

import io.panatron.kernels.AttentionLayout;
import io.panatron.kernels.DType;
import io.panatron.kernels.DropoutMask;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.host.HostMemory;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * The gradient of {@link CpuAttention}: scores are computed again from the saved row statistics.
 *
 * <p>A piece of work is a range of keys of one sequence and key head ({@link AttentionRanges}): it
 * owns the gradients of its keys and values, and its own part of the query gradients, which are
 * added up in the order of the ranges. Queries and upstream gradients are packed once for all
 * pieces, head group by head group. A range reaches no query whose window lies behind it, and a
 * block of queries no key before the window of its first.
 *
 * <p>Memory: four to eight times the queries in F32, whatever the lengths of the sequences.
 *
 * <p>Source: Dao, "FlashAttention-2", algorithm 2.
 */
final class CpuAttentionBackward {
  /** Queries that one worker packs or unpacks at a time. */
  private static final int PACK_QUERIES = 32;

  private final CpuWorkers workers;

  /** Dropout factors of a row of a block. */
  private final RowBuffers factors;

  CpuAttentionBackward(CpuWorkers workers) {
    this.workers = workers;
    factors = new RowBuffers(workers.threads(), 1);
  }

  /** See {@link io.panatron.kernels.Backend#attentionBackward}. */
  void backward(
      MemoryScope scope,
      Tensor q,
      Tensor k,
      Tensor v,
      Tensor out,
      Tensor logSumExp,
      Tensor dOut,
      AttentionLayout layout,
      double scale,
      @Nullable DropoutMask mask,
      Tensor dq,
      Tensor dk,
      Tensor dv) {
    if (mask != null) {
      factors.reserve(DropoutRows.room(AttentionShape.KEY_BLOCK));
    }
    AttentionShape shape = AttentionShape.of(q, k);
    int queries = layout.totalQueries();
    if (!coversAllKeys(layout, k)) {
      HostMemory.of(dk).fill((byte) 0);
      HostMemory.of(dv).fill((byte) 0);
    }
    AttentionRanges ranges = AttentionRanges.of(layout, shape);
    CpuScratch.Plan plan = CpuScratch.plan("attention gradient");
    long scoresOfBlock = (long) shape.blockRows() * AttentionShape.KEY_BLOCK;
    long keysOfBlock = (long) AttentionShape.KEY_BLOCK * shape.headDim();
    Parts parts =
        new Parts(
            plan.share(q.elements()),
            plan.share(q.elements()),
            plan.share((long) queries * shape.queryHeads()),
            plan.share((long) queries * shape.queryHeads()),
            plan.share(ranges.queryGradientElements()),
            plan.own(scoresOfBlock),
            plan.own(scoresOfBlock),
            plan.own(keysOfBlock),
            plan.own(keysOfBlock));
    long partK = plan.share(k.dtype() == DType.F32 ? 0 : k.elements());
    long partV = plan.share(v.dtype() == DType.F32 ? 0 : v.elements());
    try (CpuScratch scratch = plan.take(scope, workers.threads())) {
      MatmulOperand keys = MatmulOperand.widened(k, workers, scratch, partK);
      MatmulOperand values = MatmulOperand.widened(v, workers, scratch, partV);
      Packing packing = new Packing(shape, queries, scratch.segment(), parts);
      workers.run(
          TileSizes.count(queries, PACK_QUERIES),
          (worker, piece) -> {
            int end = Math.min(queries, (piece + 1) * PACK_QUERIES);
            for (int query = piece * PACK_QUERIES; query < end; query++) {
              packing.pack(query, q, dOut, out, logSumExp, (float) scale * SoftmaxRows.LOG2_E);
            }
          });
      workers.run(
          ranges.count(),
          (worker, piece) ->
              new KeyRange(
                      workers.engine(),
                      worker,
                      shape,
                      layout,
                      ranges,
                      piece,
                      keys,
                      values,
                      scratch,
                      parts,
                      queries,
                      mask,
                      factors.row(worker, 0))
                  .run(dk, dv));
      workers.run(
          TileSizes.count(queries, PACK_QUERIES),
          (worker, piece) -> {
            int end = Math.min(queries, (piece + 1) * PACK_QUERIES);
            for (int query = piece * PACK_QUERIES; query < end; query++) {
              packing.unpack(query, layout, ranges, dq, (float) scale);
            }
          });
    }
  }

  private static boolean coversAllKeys(AttentionLayout layout, Tensor k) {
    long covered = 0;
    for (int s = 0; s < layout.sequences(); s++) {
      covered += layout.keyLength(s);
    }
    return covered == k.shape().extent(0);
  }

  /**
   * Where the parts of the scratch memory begin: shared ones, then each worker's.
   *
   * @param queries packed queries, times scale and log2 e: [key heads, queries, group, head dim]
   * @param upstream packed gradients of the output, like {@code queries}
   * @param normalisers the rows' log-sum-exp to base 2: [key heads, queries, group]
   * @param deltas the rows' inner products of output and its gradient, like {@code normalisers}
   * @param queryGradients see {@link AttentionRanges}
   */
  private record Parts(
      long queries,
      long upstream,
      long normalisers,
      long deltas,
      long queryGradients,
      long scores,
      long scoreGradients,
      long keyGradients,
      long valueGradients) {}

  /** Brings queries into the order of the pieces, and gradients back. */
  private record Packing(AttentionShape shape, int queries, MemorySegment memory, Parts parts) {
    void pack(int query, Tensor q, Tensor dOut, Tensor out, Tensor logSumExp, float scale) {
      int columns = shape.groupColumns();
      int group = shape.group();
      int d = shape.headDim();
      for (int keyHead = 0; keyHead < shape.keyHeads(); keyHead++) {
        long from = shape.queryPosition(query, keyHead);
        long to = ((long) keyHead * queries + query) * columns;
        long row = ((long) keyHead * queries + query) * group;
        long target = parts.queries + to;
        // The output passes through the place of the query: only its inner product is kept.
        TileRows.read(out.dtype(), HostMemory.of(out), from, memory, target, columns, 1);
        TileRows.read(
            dOut.dtype(), HostMemory.of(dOut), from, memory, parts.upstream + to, columns, 1);
        for (int head = 0; head < group; head++) {
          long offset = to + (long) head * d;
          float delta =
              TileRows.dot(memory, parts.queries + offset, memory, parts.upstream + offset, d);
          TileRows.set(memory, parts.deltas + row + head, delta);
          long statistic = (long) query * shape.queryHeads() + (long) keyHead * group + head;
          float natural = TileRows.get(HostMemory.of(logSumExp), statistic);
          TileRows.set(memory, parts.normalisers + row + head, natural * SoftmaxRows.LOG2_E);
        }
        TileRows.read(q.dtype(), HostMemory.of(q), from, memory, target, columns, scale);
      }
    }

    /** Adds up the ranges' parts of one query's gradient. */
    void unpack(int query, AttentionLayout layout, AttentionRanges ranges, Tensor dq, float scale) {
      int columns = shape.groupColumns();
      int sequence = ranges.sequenceOf(query);
      int row = query - layout.queryStart(sequence);
      for (int keyHead = 0; keyHead < shape.keyHeads(); keyHead++) {
        int piece = ranges.firstPiece(sequence, keyHead);
        int end = piece + ranges.rangesOf(sequence);
        while (ranges.endQuery(piece) <= row) {
          piece++;
        }
        long sum = parts.queryGradients + ranges.queryGradient(piece, row);
        for (int later = piece + 1; later < end && ranges.firstKey(later) <= row; later++) {
          long part = parts.queryGradients + ranges.queryGradient(later, row);
          TileRows.add(memory, part, memory, sum, columns);
        }
        TileRows.write(
            dq.dtype(),
            memory,
            sum,
            HostMemory.of(dq),
            shape.queryPosition(query, keyHead),
            columns,
            scale);
      }
    }
  }

  /** One piece of work. */
  private static final class KeyRange {
    private final MatmulEngine engine;
    private final int worker;
    private final AttentionShape shape;
    private final MatmulOperand keys;
    private final MatmulOperand values;
    private final CpuScratch scratch;
    private final MemorySegment memory;
    private final AttentionRanges ranges;
    private final int piece;
    private final int keyHead;
    private final int length;
    private final int firstQuery;
    private final long firstKey;
    private final long packedRow;
    private final Parts parts;
    private final long scores;
    private final long scoreGradients;
    private final long keyGradients;
    private final long valueGradients;
    private final @Nullable DropoutMask mask;
    private final float[] factors;

    KeyRange(
        MatmulEngine engine,
        int worker,
        AttentionShape shape,
        AttentionLayout layout,
        AttentionRanges ranges,
        int piece,
        MatmulOperand keys,
        MatmulOperand values,
        CpuScratch scratch,
        Parts parts,
        int queries,
        @Nullable DropoutMask mask,
        float[] factors) {
      this.engine = engine;
      this.worker = worker;
      this.shape = shape;
      this.keys = keys;
      this.values = values;
      this.scratch = scratch;
      this.memory = scratch.segment();
      this.ranges = ranges;
      this.piece = piece;
      this.parts = parts;
      int sequence = ranges.sequence(piece);
      keyHead = ranges.keyHead(piece);
      length = layout.keyLength(sequence);
      firstQuery = layout.queryStart(sequence);
      firstKey = layout.keyStart(sequence);
      packedRow = ((long) keyHead * queries + layout.queryStart(sequence)) * shape.group();
      scores = scratch.own(worker, parts.scores);
      scoreGradients = scratch.own(worker, parts.scoreGradients);
      keyGradients = scratch.own(worker, parts.keyGradients);
      valueGradients = scratch.own(worker, parts.valueGradients);
      this.mask = mask;
      this.factors = factors;
    }

    void run(Tensor dk, Tensor dv) {
      int end = ranges.endKey(piece);
      for (int key = ranges.firstKey(piece); key < end; key += AttentionShape.KEY_BLOCK) {
        int count = Math.min(AttentionShape.KEY_BLOCK, end - key);
        TileRows.zero(memory, keyGradients, (long) count * shape.headDim());
        TileRows.zero(memory, valueGradients, (long) count * shape.headDim());
        int firstBlock = key / shape.queryBlock() * shape.queryBlock();
        int endQuery = ranges.endQuery(key + count, length);
        for (int query = firstBlock; query < endQuery; query += shape.queryBlock()) {
          queryBlock(query, Math.min(shape.queryBlock(), length - query), key, count);
        }
        store(key, count, dk, dv);
      }
    }

    private void queryBlock(int query, int queries, int keyBlock, int keyCount) {
      int hidden = Math.max(0, query + 1 - ranges.window(length) - keyBlock);
      int key = keyBlock + hidden;
      int d = shape.headDim();
      int group = shape.group();
      int rows = queries * group;
      int count = Math.min(keyCount - hidden, query + queries - key);
      long keyAddress = keys.at(shape.keyPosition(firstKey + key, keyHead));
      long valueAddress = values.at(shape.keyPosition(firstKey + key, keyHead));
      long row = packedRow + (long) query * group;
      long packed = scratch.address(parts.queries + row * d);
      long upstream = scratch.address(parts.upstream + row * d);
      multiply(
          rows,
          count,
          d,
          false,
          packed,
          d,
          true,
          keyAddress,
          shape.keyStride(),
          false,
          scores,
          count);
      multiply(
          rows,
          count,
          d,
          false,
          upstream,
          d,
          true,
          valueAddress,
          shape.keyStride(),
          false,
          scoreGradients,
          count);
      for (int r = 0; r < rows; r++) {
        int seen = query + r / group + 1 - key;
        softmaxGradient(
            query,
            key,
            r,
            row + r,
            Math.clamp(seen - ranges.window(length), 0, count),
            Math.clamp(seen, 0, count),
            count);
      }
      multiply(
          count,
          d,
          rows,
          true,
          scratch.address(scores),
          count,
          false,
          upstream,
          d,
          true,
          valueGradients + (long) hidden * d,
          d);
      multiply(
          count,
          d,
          rows,
          true,
          scratch.address(scoreGradients),
          count,
          false,
          packed,
          d,
          true,
          keyGradients + (long) hidden * d,
          d);
      boolean accumulate =
          keyBlock > ranges.firstKey(piece) && query < ranges.endQuery(keyBlock, length);
      long target = parts.queryGradients + ranges.queryGradient(piece, query);
      multiply(
          rows,
          d,
          count,
          false,
          scratch.address(scoreGradients),
          count,
          false,
          keyAddress,
          shape.keyStride(),
          accumulate,
          target,
          d);
    }

    private void softmaxGradient(
        int query, int key, int r, long row, int hidden, int end, int count) {
      long start = scores + (long) r * count;
      long gradients = scoreGradients + (long) r * count;
      if (hidden > 0) {
        TileRows.zero(memory, start, hidden);
        TileRows.zero(memory, gradients, hidden);
      }
      if (end < count) {
        TileRows.zero(memory, start + end, count - end);
        TileRows.zero(memory, gradients + end, count - end);
      }
      int seen = end - hidden;
      float logSumExp = TileRows.get(memory, parts.normalisers + row);
      float delta = TileRows.get(memory, parts.deltas + row);
      if (mask == null) {
        SoftmaxRows.gradients(memory, start + hidden, gradients + hidden, seen, logSumExp, delta);
      } else if (seen > 0) {
        int group = shape.group();
        int token = firstQuery + query + r / group;
        int head = keyHead * group + r % group;
        int offset = DropoutRows.factors(mask, token, head, key + hidden, seen, factors);
        SoftmaxRows.droppedGradients(
            memory, start + hidden, gradients + hidden, seen, logSumExp, delta, factors, offset);
      }
    }

    private void store(int key, int count, Tensor dk, Tensor dv) {
      int d = shape.headDim();
      MemorySegment toKeys = HostMemory.of(dk);
      MemorySegment toValues = HostMemory.of(dv);
      for (int i = 0; i < count; i++) {
        long to = shape.keyPosition(firstKey + key + i, keyHead);
        // The packed queries carry a factor log2 e.
        TileRows.write(
            dk.dtype(),
            memory,
            keyGradients + (long) i * d,
            toKeys,
            to,
            d,
            (float) SoftmaxRows.LN_2);
        TileRows.write(dv.dtype(), memory, valueGradients + (long) i * d, toValues, to, d, 1);
      }
    }

    private void multiply(
        int m,
        int n,
        int k,
        boolean transposeA,
        long a,
        long lda,
        boolean transposeB,
        long b,
        long ldb,
        boolean accumulate,
        long c,
        long ldc) {
      engine.multiply(
          worker,
          DType.F32,
          m,
          n,
          k,
          transposeA,
          a,
          lda,
          transposeB,
          b,
          ldb,
          accumulate,
          scratch.address(c),
          ldc);
    }
  }
}
