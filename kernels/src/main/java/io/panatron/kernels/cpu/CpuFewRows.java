package io.panatron.kernels.cpu;

import io.panatron.kernels.DType;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.host.HostMemory;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * {@code y = x weight^T + bias} for the few rows of a decoding step, which is bound by reading the
 * weight from memory.
 *
 * <p><b>Shapes</b>: x: [rows, in], rows at most {@value #MOST_ROWS}; weight: [out, in]; bias:
 * [out]; y: [rows, out].
 *
 * <p>The workers take many small pieces of the weight, so that all of them read until the end; one
 * core alone reads at little more than half the speed of memory. A BF16 or F16 weight that the
 * processor does not multiply itself is widened piece by piece, in the cache of the worker that
 * multiplies it.
 */
final class CpuFewRows {
  /** With more, tiles as large as {@link TileGrid}'s have enough work for every worker. */
  static final int MOST_ROWS = 48;

  /** Elements of a piece of the weight: with less, calls of the library begin to count. */
  private static final int PIECE = 1 << 16;

  /** Rows of a piece of the weight are a multiple of this, the width of the inner kernels. */
  private static final int GRAIN = 16;

  private final CpuWorkers workers;
  private final MatmulEngine engine;

  CpuFewRows(CpuWorkers workers) {
    this.workers = workers;
    this.engine = workers.engine();
  }

  /**
   * Whether a product is made here. Those of BF16 and F16 by compiled primitives are not: more
   * tiles would be more kinds of them.
   */
  boolean takes(Tensor x) {
    boolean inF32 = x.dtype() == DType.F32 || MatmulOperand.needsWidening(x, engine);
    return inF32 && x.shape().rows() <= MOST_ROWS;
  }

  /** See {@link io.panatron.kernels.Backend#linearForward}. */
  void forward(MemoryScope scope, Tensor x, Tensor weight, @Nullable Tensor bias, Tensor y) {
    int rows = x.shape().rows();
    int in = x.shape().columns();
    int out = weight.shape().rows();
    int most = Math.max(1, PIECE / in / GRAIN) * GRAIN;
    boolean widens = MatmulOperand.needsWidening(weight, engine);
    boolean rounds = y.dtype() != DType.F32;
    CpuScratch.Plan plan = CpuScratch.plan("few rows");
    long partX = plan.share(MatmulOperand.scratchElements(x, engine));
    long partBias = plan.share(bias == null ? 0 : out);
    long partWeight = plan.own(widens ? (long) most * in : 0);
    long partResult = plan.own(rounds ? (long) rows * most : 0);
    try (CpuScratch scratch = plan.take(scope, workers.threads())) {
      MatmulOperand left = MatmulOperand.of(x, workers, scratch, partX);
      MemorySegment memory = scratch.segment();
      MemorySegment factor = HostMemory.of(weight);
      MemorySegment result = HostMemory.of(y);
      if (bias != null) {
        TileRows.read(bias.dtype(), HostMemory.of(bias), 0, memory, partBias, out, 1);
      }
      workers.run(
          TileSizes.count(out, most),
          (worker, piece) -> {
            int first = piece * most;
            int count = Math.min(most, out - first);
            long wide = scratch.own(worker, partWeight);
            if (widens) {
              long start = (long) first * in;
              TileRows.read(weight.dtype(), factor, start, memory, wide, count * in, 1);
            }
            MemorySegment tile = rounds ? memory : result;
            long position = rounds ? scratch.own(worker, partResult) : first;
            int stride = rounds ? count : out;
            engine.multiply(
                worker,
                left.dtype(),
                rows,
                count,
                in,
                false,
                left.at(0),
                in,
                true,
                widens
                    ? scratch.address(wide)
                    : weight.address() + (long) first * in * weight.dtype().bytes(),
                in,
                false,
                tile.address() + position * Float.BYTES,
                stride);
            for (int row = 0; row < rows; row++) {
              long from = position + (long) row * stride;
              if (bias != null) {
                TileRows.add(memory, partBias + first, tile, from, count);
              }
              if (rounds) {
                long to = (long) row * out + first;
                TileRows.write(y.dtype(), tile, from, result, to, count, 1);
              }
            }
          });
    }
  }
}
