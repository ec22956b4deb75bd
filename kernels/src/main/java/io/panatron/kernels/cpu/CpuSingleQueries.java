package io.panatron.kernels.cpu;

import io.panatron.kernels.AttentionLayout;
import io.panatron.kernels.DType;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.host.HostMemory;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * Attention of one query in each sequence, the step of decoding: it is bound by reading keys and
 * values from memory.
 *
 * <p>A piece of work is a run of keys of one sequence, with all heads: keys and values of all heads
 * lie side by side and so are read once, in order. Each piece leaves its greatest scores, the sums
 * of its weights and the weighted sums of its values; these are then joined. Where a sequence is
 * cut depends on its own length alone, and so do its results.
 *
 * <p>Keys and values that are not F32, or whose heads do not fill the registers, are first copied
 * run by run, widened and filled with zeros.
 *
 * <p>Source: Dao et al., "Flash-Decoding for long-context inference".
 */
final class CpuSingleQueries {
  /**
   * Keys of a run: few, so that all workers have some even at the start of a text, and that a run
   * stays in the cache while its heads are read one after the other.
   */
  private static final int RUN = 64;

  // A worker's buffers: lanes of the products of two heads, and their scores.
  private static final int LANES = 0;
  private static final int SCORES = 1;

  private final CpuWorkers workers;
  private final RowBuffers buffers;

  CpuSingleQueries(CpuWorkers workers) {
    this.workers = workers;
    buffers = new RowBuffers(workers.threads(), 2);
  }

  /** Whether every sequence has one query, and vectors are long enough. */
  static boolean takes(AttentionLayout layout) {
    for (int s = 0; s < layout.sequences(); s++) {
      if (layout.queryLength(s) != 1) {
        return false;
      }
    }
    return SingleQueryRows.supported();
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
    buffers.reserve(2 * RUN * TileRows.LANES);
    AttentionShape shape = AttentionShape.of(q, k);
    Runs runs = Runs.of(layout);
    int room = TileSizes.count(shape.headDim(), SingleQueryRows.BLOCK) * SingleQueryRows.BLOCK;
    boolean copies = k.dtype() != DType.F32 || room != shape.headDim();
    CpuScratch.Plan plan = CpuScratch.plan("attention");
    Parts parts =
        new Parts(
            plan.share((long) runs.count() * shape.queryHeads() * room),
            plan.share((long) runs.count() * shape.queryHeads()),
            plan.share((long) runs.count() * shape.queryHeads()),
            plan.own((long) shape.queryHeads() * room),
            plan.own((long) shape.queryHeads() * RUN),
            plan.own(copies ? (long) RUN * shape.keyHeads() * room : 0));
    try (CpuScratch scratch = plan.take(scope, workers.threads())) {
      Pass pass =
          new Pass(
              shape,
              layout,
              runs,
              room,
              copies,
              (float) scale * SoftmaxRows.LOG2_E,
              scratch,
              scratch.segment(),
              parts,
              buffers);
      Heads queries = new Heads(HostMemory.of(q), q.dtype());
      Heads keys = new Heads(HostMemory.of(k), k.dtype());
      Heads values = new Heads(HostMemory.of(v), v.dtype());
      workers.run(runs.count(), (worker, run) -> pass.attend(worker, run, queries, keys, values));
      workers.run(
          layout.sequences() * shape.keyHeads(),
          (worker, piece) ->
              pass.join(piece / shape.keyHeads(), piece % shape.keyHeads(), out, logSumExp));
    }
  }

  /** A tensor of heads. */
  private record Heads(MemorySegment memory, DType dtype) {}

  /**
   * The pieces of all sequences.
   *
   * @param sequences the sequence of each run
   * @param starts its first key in the sequence
   * @param firsts the first run of each sequence, and behind the last their number
   */
  private record Runs(int[] sequences, int[] starts, int[] firsts) {
    static Runs of(AttentionLayout layout) {
      int[] firsts = new int[layout.sequences() + 1];
      for (int s = 0; s < layout.sequences(); s++) {
        firsts[s + 1] = firsts[s] + TileSizes.count(seen(layout, s), RUN);
      }
      int count = firsts[layout.sequences()];
      int[] sequences = new int[count];
      int[] starts = new int[count];
      for (int s = 0; s < layout.sequences(); s++) {
        for (int run = firsts[s]; run < firsts[s + 1]; run++) {
          sequences[run] = s;
          starts[run] = layout.keyLength(s) - seen(layout, s) + (run - firsts[s]) * RUN;
        }
      }
      return new Runs(sequences, starts, firsts);
    }

    private static int seen(AttentionLayout layout, int sequence) {
      return Math.min(layout.window(), layout.keyLength(sequence));
    }

    int count() {
      return sequences.length;
    }
  }

  /**
   * Scratch memory.
   *
   * @param results [runs, heads, room] weighted sums of values
   * @param maxima [runs, heads] greatest scores
   * @param sums [runs, heads] sums of weights
   * @param queries [heads, room], each worker's
   * @param scores [heads, keys of a run], each worker's
   * @param copy [keys of a run, key heads, room], each worker's
   */
  private record Parts(
      long results, long maxima, long sums, long queries, long scores, long copy) {}

  /**
   * What the pieces of one call share.
   *
   * @param room elements of a head in scratch memory
   * @param copies whether keys and values are read from a copy
   */
  private record Pass(
      AttentionShape shape,
      AttentionLayout layout,
      Runs runs,
      int room,
      boolean copies,
      float scale,
      CpuScratch scratch,
      MemorySegment memory,
      Parts parts,
      RowBuffers buffers) {

    /** One run of keys. */
    void attend(int worker, int run, Heads queries, Heads keys, Heads values) {
      int sequence = runs.sequences[run];
      int start = runs.starts[run];
      int count = Math.min(RUN, layout.keyLength(sequence) - start);
      long firstKey = layout.keyStart(sequence) + (long) start;
      readQueries(worker, layout.queryStart(sequence), queries);
      score(worker, keys, firstKey, count);
      long head = (long) run * shape.queryHeads();
      for (int h = 0; h < shape.queryHeads(); h++) {
        long scores = scratch.own(worker, parts.scores) + (long) h * RUN;
        float max = SoftmaxRows.max(memory, scores, count);
        TileRows.set(memory, parts.maxima + head + h, max);
        float sum = SoftmaxRows.powers(memory, scores, count, 1, max);
        TileRows.set(memory, parts.sums + head + h, sum);
      }
      TileRows.zero(memory, parts.results + head * room, (long) shape.queryHeads() * room);
      weigh(worker, values, firstKey, count, parts.results + head * room);
    }

    private void readQueries(int worker, int query, Heads queries) {
      int d = shape.headDim();
      for (int h = 0; h < shape.queryHeads(); h++) {
        long from = ((long) query * shape.queryHeads() + h) * d;
        long to = scratch.own(worker, parts.queries) + (long) h * room;
        TileRows.read(queries.dtype, queries.memory, from, memory, to, d, scale);
        if (d < room) {
          TileRows.zero(memory, to + d, room - d);
        }
      }
    }

    /** Scores of the keys of a run. */
    private void score(int worker, Heads keys, long key, int count) {
      MemorySegment from = copies ? memory : keys.memory;
      long start = copies ? copy(worker, keys, key, count) : shape.keyPosition(key, 0);
      int stride = shape.keyHeads() * room;
      long queries = scratch.own(worker, parts.queries);
      long scores = scratch.own(worker, parts.scores);
      float[] lanes = buffers.row(worker, LANES);
      float[] sums = buffers.row(worker, SCORES);
      int other = RUN * TileRows.LANES;
      for (int pair = 0; pair < shape.keyHeads() * pairs(); pair++) {
        int first = firstHead(pair);
        int second = secondHead(pair);
        long head = start + (long) (pair / pairs()) * room;
        Arrays.fill(lanes, 0, 2 * other, 0);
        for (int b = 0; b < room; b += SingleQueryRows.BLOCK) {
          long one = queries + (long) first * room + b;
          long two = queries + (long) second * room + b;
          SingleQueryRows.scores(from, head + b, stride, count, memory, one, two, lanes, 0, other);
        }
        SingleQueryRows.fold(lanes, 0, 2 * RUN / SingleQueryRows.GROUP, sums, 0);
        copyScores(sums, 0, scores + (long) first * RUN, count);
        copyScores(sums, RUN, scores + (long) second * RUN, count);
      }
    }

    private void copyScores(float[] sums, int start, long to, int count) {
      MemorySegment.copy(sums, start, memory, TileRows.FLOAT, to * Float.BYTES, count);
    }

    /** Adds the values of a run, weighted, to its results. */
    private void weigh(int worker, Heads values, long key, int count, long results) {
      MemorySegment from = copies ? memory : values.memory;
      long start = copies ? copy(worker, values, key, count) : shape.keyPosition(key, 0);
      int stride = shape.keyHeads() * room;
      long weights = scratch.own(worker, parts.scores);
      for (int pair = 0; pair < shape.keyHeads() * pairs(); pair++) {
        int first = firstHead(pair);
        int second = secondHead(pair);
        long head = start + (long) (pair / pairs()) * room;
        for (int b = 0; b < room; b += SingleQueryRows.BLOCK) {
          SingleQueryRows.weigh(
              from,
              head + b,
              stride,
              count,
              memory,
              weights + (long) first * RUN,
              weights + (long) second * RUN,
              results + (long) first * room + b,
              results + (long) second * room + b);
        }
      }
    }

    /** Pairs of query heads that share a key head; the last may have one head only, twice. */
    private int pairs() {
      return TileSizes.count(shape.group(), 2);
    }

    private int firstHead(int pair) {
      return pair / pairs() * shape.group() + pair % pairs() * 2;
    }

    private int secondHead(int pair) {
      return pair / pairs() * shape.group() + Math.min(pair % pairs() * 2 + 1, shape.group() - 1);
    }

    /** Copies a run of keys or values to scratch memory and says where they begin. */
    private long copy(int worker, Heads heads, long key, int count) {
      long to = scratch.own(worker, parts.copy);
      int d = shape.headDim();
      long from = shape.keyPosition(key, 0);
      if (d == room) {
        int elements = count * shape.keyStride();
        TileRows.read(heads.dtype, heads.memory, from, memory, to, elements, 1);
        return to;
      }
      for (int head = 0; head < count * shape.keyHeads(); head++) {
        long at = to + (long) head * room;
        TileRows.read(heads.dtype, heads.memory, from + (long) head * d, memory, at, d, 1);
        TileRows.zero(memory, at + d, room - d);
      }
      return to;
    }

    /** Joins the runs of the heads of a sequence that share a key head. */
    void join(int sequence, int keyHead, Tensor out, Tensor logSumExp) {
      MemorySegment to = HostMemory.of(out);
      MemorySegment statistics = HostMemory.of(logSumExp);
      int heads = shape.queryHeads();
      int d = shape.headDim();
      long first = (long) runs.firsts[sequence] * heads;
      long end = (long) runs.firsts[sequence + 1] * heads;
      for (int h = keyHead * shape.group(); h < (keyHead + 1) * shape.group(); h++) {
        float max = Float.NEGATIVE_INFINITY;
        for (long part = first + h; part < end; part += heads) {
          max = Math.max(max, TileRows.get(memory, parts.maxima + part));
        }
        long result = parts.results + (first + h) * room;
        float sum = 0;
        for (long part = first + h; part < end; part += heads) {
          float factor = SoftmaxRows.exp2(TileRows.get(memory, parts.maxima + part) - max);
          sum += TileRows.get(memory, parts.sums + part) * factor;
          long partResult = parts.results + part * room;
          if (factor != 1) {
            TileRows.scale(memory, partResult, d, factor);
          }
          if (partResult != result) {
            TileRows.add(memory, partResult, memory, result, d);
          }
        }
        long head = (long) layout.queryStart(sequence) * heads + h;
        TileRows.write(out.dtype(), memory, result, to, head * d, d, 1 / sum);
        TileRows.set(statistics, head, (float) (max * SoftmaxRows.LN_2 + Math.log(sum)));
      }
    }
  }
}
