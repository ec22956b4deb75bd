package io.panatron.kernels.cpu;

import io.panatron.kernels.AttentionLayout;
import io.panatron.kernels.DType;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.host.HostMemory;
import java.lang.foreign.MemorySegment;

/**
 * Causal attention, block by block: scores of a block of queries against a block of keys by one
 * product, an online softmax over their rows, and a second product with the values.
 *
 * <p>A piece of work is one block of queries of one key head, which owns its rows of the result.
 * Queries are packed (and scaled, and widened) once for each piece; F32 keys and values are read in
 * place, since oneDNN packs them anyway.
 *
 * <p>Source: Dao, "FlashAttention-2", algorithm 1.
 */
final class CpuAttention {
  private final CpuWorkers workers;

  CpuAttention(CpuWorkers workers) {
    this.workers = workers;
  }

  /** See {@link io.panatron.kernels.Backend#attentionForward}. */
  void forward(
      MemoryScope scope,
      Tensor q,
      Tensor k,
      Tensor v,
      AttentionLayout layout,
      double scale,
      Tensor out,
      Tensor logSumExp) {
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
              (float) scale * SoftmaxRows.LOG2_E);
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
      float scale) {

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
        for (int start = 0; start < seenByLast; start += AttentionShape.KEY_BLOCK) {
          keyBlock(start, Math.min(AttentionShape.KEY_BLOCK, seenByLast - start));
        }
        finish(out, logSumExp);
      }

      private void keyBlock(int start, int count) {
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
          softmax(
              row,
              Math.clamp(seenByFirst + row / shape.group() - start, 0, count),
              count,
              start == 0);
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
            start > 0,
            address(result),
            d);
      }

      /** Turns the scores of a row into weights relative to the greatest score so far. */
      private void softmax(int row, int seen, int count, boolean firstBlock) {
        long start = scores + (long) row * count;
        if (seen < count) {
          TileRows.zero(memory, start + seen, count - seen);
        }
        if (seen == 0) {
          return;
        }
        float max = SoftmaxRows.max(memory, start, seen);
        float before = firstBlock ? max : TileRows.get(memory, maxima + row);
        max = Math.max(max, before);
        float sum = SoftmaxRows.powersOfTwo(memory, start, seen, max);
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
