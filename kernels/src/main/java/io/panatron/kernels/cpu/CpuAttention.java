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
 * Causal attention, block by block: scores of a block of queries against a block of keys by one
 * product, an online softmax over their rows, and a second product with the values.
 *
 * <p>A piece of work is one block of queries of one key head, which owns its rows of the result.
 * Queries are packed (and scaled, and widened) once for each piece; F32 keys and values are read in
 * place, since oneDNN packs them anyway.
 *
 * <p>Under a window the keys that no query of the block sees are never touched: the keys of a block
 * begin where its first query's window begins.
 *
 * <p>Source: Dao, "FlashAttention-2", algorithm 1.
 */
final class CpuAttention {
  private final CpuWorkers workers;
  private final CpuSingleQueries singleQueries;

  /** Dropout factors of a row of a block. */
  private final RowBuffers factors;

  CpuAttention(CpuWorkers workers) {
    this.workers = workers;
    singleQueries = new CpuSingleQueries(workers);
    factors = new RowBuffers(workers.threads(), 1);
  }

  /** See {@link io.panatron.kernels.Backend#attentionForward}. */
  void forward(
      MemoryScope scope,
      Tensor q,
      Tensor k,
      Tensor v,
      AttentionLayout layout,
      double scale,
      @Nullable DropoutMask mask,
      Tensor out,
      Tensor logSumExp) {
    if (mask == null && CpuSingleQueries.takes(layout)) {
      singleQueries.forward(scope, q, k, v, layout, scale, out, logSumExp);
      return;
    }
    if (mask != null) {
      factors.reserve(DropoutRows.room(AttentionShape.KEY_BLOCK));
    }
    AttentionShape shape = AttentionShape.of(q, k);
    CpuScratch.Plan plan = CpuScratch.plan("attention");
    long partK = plan.share(k.dtype() == DType.F32 ? 0 : k.elements());
    long partV = plan.share(v.dtype() == DType.F32 ? 0 : v.elements());
    long packed = plan.own((long) shape.blockRows() * shape.headDim());
    long result = plan.own((long) shape.blockRows() * shape.headDim());
    long scores = plan.own((long) shape.blockRows() * AttentionShape.KEY_BLOCK);
    long maxima = plan.own(shape.blockRows());
    long sums = plan.own(shape.blockRows());
    int[] blocks = blocksOf(layout, shape.queryBlock());
    try (CpuScratch scratch = plan.take(scope, workers.threads())) {
      Forward pass =
          new Forward(
              workers.engine(),
              shape,
              layout,
              MatmulOperand.widened(k, workers, scratch, partK),
              MatmulOperand.widened(v, workers, scratch, partV),
              scratch.segment(),
              (float) scale * SoftmaxRows.LOG2_E,
              mask,
              factors);
      workers.run(
          blocks.length / 2 * shape.keyHeads(),
          (worker, piece) -> {
            int block = piece / shape.keyHeads();
            pass
                .new Block(
                    worker,
                    blocks[2 * block],
                    blocks[2 * block + 1],
                    piece % shape.keyHeads(),
                    scratch.own(worker, packed),
                    scratch.own(worker, result),
                    scratch.own(worker, scores),
                    scratch.own(worker, maxima),
                    scratch.own(worker, sums))
                .run(q, out, logSumExp);
          });
    }
  }

  /**
   * Pairs of sequence and first query, those with the most keys first so that no late one is long.
   */
  private static int[] blocksOf(AttentionLayout layout, int queryBlock) {
    int count = 0;
    int most = 0;
    for (int s = 0; s < layout.sequences(); s++) {
      int blocks = TileSizes.count(layout.queryLength(s), queryBlock);
      count += blocks;
      most = Math.max(most, blocks);
    }
    int[] pairs = new int[2 * count];
    int next = 0;
    for (int block = most - 1; block >= 0; block--) {
      for (int s = 0; s < layout.sequences(); s++) {
        if (block * queryBlock < layout.queryLength(s)) {
          pairs[next++] = s;
          pairs[next++] = block * queryBlock;
        }
      }
    }
    return pairs;
  }

  /** What the pieces of one call share. */
  private record Forward(
      MatmulEngine engine,
      AttentionShape shape,
      AttentionLayout layout,
      MatmulOperand keys,
      MatmulOperand values,
      MemorySegment memory,
      float scale,
      @Nullable DropoutMask mask,
      RowBuffers factors) {

    /** One block of queries of one key head. */
    private final class Block {
      private final int worker;
      private final int keyHead;
      private final long packed;
      private final long result;
      private final long scores;
      private final long maxima;
      private final long sums;
      private final int firstQuery;
      private final int rows;
      private final long firstKey;
      private final int seenByFirst;
      private final int seenByLast;
      private final int window;

      Block(
          int worker,
          int sequence,
          int first,
          int keyHead,
          long packed,
          long result,
          long scores,
          long maxima,
          long sums) {
        this.worker = worker;
        this.keyHead = keyHead;
        this.packed = packed;
        this.result = result;
        this.scores = scores;
        this.maxima = maxima;
        this.sums = sums;
        int length = layout.queryLength(sequence);
        int queries = Math.min(shape.queryBlock(), length - first);
        firstQuery = layout.queryStart(sequence) + first;
        rows = queries * shape.group();
        firstKey = layout.keyStart(sequence);
        seenByFirst = layout.keyLength(sequence) - length + first + 1;
        seenByLast = seenByFirst + queries - 1;
        window = Math.min(layout.window(), layout.keyLength(sequence));
      }

      void run(Tensor q, Tensor out, Tensor logSumExp) {
        MemorySegment from = HostMemory.of(q);
        int columns = shape.groupColumns();
        for (int query = 0; query < rows / shape.group(); query++) {
          TileRows.read(
              q.dtype(),
              from,
              shape.queryPosition(firstQuery + query, keyHead),
              memory,
              packed + (long) query * columns,
              columns,
              scale);
        }
        int first = Math.max(0, seenByFirst - window);
        for (int start = first; start < seenByLast; start += AttentionShape.KEY_BLOCK) {
          keyBlock(start, Math.min(AttentionShape.KEY_BLOCK, seenByLast - start), start == first);
        }
        finish(out, logSumExp);
      }

      private void keyBlock(int start, int count, boolean firstBlock) {
        int d = shape.headDim();
        long key = shape.keyPosition(firstKey + start, keyHead);
        engine.multiply(
            worker,
            DType.F32,
            rows,
            count,
            d,
            false,
            address(packed),
            d,
            true,
            keys.at(key),
            shape.keyStride(),
            false,
            address(scores),
            count);
        for (int row = 0; row < rows; row++) {
          int seen = seenByFirst + row / shape.group() - start;
          int hidden = Math.clamp(seen - window, 0, count);
          int end = Math.clamp(seen, 0, count);
          softmax(row, hidden, end, count, firstBlock);
          if (mask != null) {
            drop(mask, row, start + hidden, end - hidden, (long) row * count + hidden);
          }
        }
        engine.multiply(
            worker,
            DType.F32,
            rows,
            d,
            count,
            false,
            address(scores),
            count,
            false,
            values.at(key),
            shape.keyStride(),
            !firstBlock,
            address(result),
            d);
      }

      /**
       * Turns the scores of a row into weights relative to the greatest score so far.
       *
       * <p>A window hides keys of the first block only, and never all of them: that block begins
       * with the first key of the first query's window, and has more keys than there are queries or
       * all keys that the last of them sees.
       *
       * @param hidden keys of the block that lie before the row's window
       * @param end keys of the block up to the last that the row sees
       */
      private void softmax(int row, int hidden, int end, int count, boolean firstBlock) {
        long block = scores + (long) row * count;
        if (hidden > 0) {
          TileRows.zero(memory, block, hidden);
        }
        if (end < count) {
          TileRows.zero(memory, block + end, count - end);
        }
        int seen = end - hidden;
        if (seen == 0) {
          return;
        }
        long start = block + hidden;
        float max = SoftmaxRows.max(memory, start, seen);
        float before = firstBlock ? max : TileRows.get(memory, maxima + row);
        max = Math.max(max, before);
        float sum = SoftmaxRows.powers(memory, start, seen, 1, max);
        if (!firstBlock) {
          float correction = max == before ? 1 : SoftmaxRows.exp2(before - max);
          sum += TileRows.get(memory, sums + row) * correction;
          if (correction != 1) {
            int d = shape.headDim();
            TileRows.scale(memory, result + (long) row * d, d, correction);
          }
        }
        TileRows.set(memory, maxima + row, max);
        TileRows.set(memory, sums + row, sum);
      }

      /**
       * Drops weights of a row, whose sum was taken before.
       *
       * @param key place of the first that the row sees in its sequence
       * @param weight its place among the scores
       */
      private void drop(DropoutMask dropout, int row, int key, int seen, long weight) {
        int group = shape.group();
        float[] rowFactors = factors.row(worker, 0);
        int token = firstQuery + row / group;
        int head = keyHead * group + row % group;
        int offset = DropoutRows.factors(dropout, token, head, key, seen, rowFactors);
        SoftmaxRows.multiply(memory, scores + weight, seen, rowFactors, offset);
      }

      private void finish(Tensor out, Tensor logSumExp) {
        MemorySegment to = HostMemory.of(out);
        MemorySegment statistics = HostMemory.of(logSumExp);
        int d = shape.headDim();
        for (int row = 0; row < rows; row++) {
          float sum = TileRows.get(memory, sums + row);
          long head = (long) firstQuery * shape.queryHeads() + (long) keyHead * shape.group();
          head += (long) (row / shape.group()) * shape.queryHeads() + row % shape.group();
          TileRows.write(out.dtype(), memory, result + (long) row * d, to, head * d, d, 1 / sum);
          double natural = TileRows.get(memory, maxima + row) * SoftmaxRows.LN_2 + Math.log(sum);
          TileRows.set(statistics, head, (float) natural);
        }
      }

      private long address(long position) {
        return memory.address() + position * Float.BYTES;
      }
    }
  }
}
