package io.panatron.kernels.cpu;

import io.panatron.kernels.DType;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.host.HostMemory;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * {@code y = x weight^T + bias} and its gradients, in tiles of the result: each tile is
 * one-threaded products on one worker.
 *
 * <p>BF16 and F16 operands are widened to F32 scratch where the processor does not multiply them
 * itself: work of the order of the operands, not of the product.
 */
final class CpuLinear {
  /**
   * Tokens whose contributions a weight gradient takes at a time: a transposed operand is then
   * packed from few memory pages, which is a quarter faster than taking all tokens at once.
   */
  static final int TOKEN_STEP = 128;

  /** Columns whose bias gradient one worker sums. */
  private static final int BIAS_STEP = 256;

  private final CpuWorkers workers;
  private final MatmulEngine engine;
  private final CpuFewRows fewRows;

  CpuLinear(CpuWorkers workers) {
    this.workers = workers;
    this.fewRows = new CpuFewRows(workers);
    this.engine = workers.engine();
  }

  /** See {@link io.panatron.kernels.Backend#linearForward}. */
  void forward(MemoryScope scope, Tensor x, Tensor weight, @Nullable Tensor bias, Tensor y) {
    if (fewRows.takes(x)) {
      fewRows.forward(scope, x, weight, bias, y);
    } else {
      product(scope, x, weight, true, bias, y);
    }
  }

  /** See {@link io.panatron.kernels.Backend#linearBackwardInput}. */
  void backwardInput(MemoryScope scope, Tensor dy, Tensor weight, Tensor dx) {
    product(scope, dy, weight, false, null, dx);
  }

  /** {@code c = a weight + bias}, or {@code a weight^T + bias}; a: [m, k], c: [m, n]. */
  private void product(
      MemoryScope scope,
      Tensor a,
      Tensor weight,
      boolean transposed,
      @Nullable Tensor bias,
      Tensor c) {
    int n = c.shape().columns();
    int k = a.shape().columns();
    TileGrid grid = TileGrid.of(c.shape().rows(), n);
    boolean rounds = c.dtype() != DType.F32;
    CpuScratch.Plan plan = CpuScratch.plan("linear");
    long partA = plan.share(MatmulOperand.scratchElements(a, engine));
    long partB = plan.share(MatmulOperand.scratchElements(weight, engine));
    long partBias = plan.share(bias == null ? 0 : n);
    long partTile = plan.own(rounds ? (long) grid.tileRows() * grid.tileColumns() : 0);
    try (CpuScratch scratch = plan.take(scope, workers.threads())) {
      MatmulOperand left = MatmulOperand.of(a, workers, scratch, partA);
      MatmulOperand right = MatmulOperand.of(weight, workers, scratch, partB);
      MemorySegment result = HostMemory.of(c);
      MemorySegment memory = scratch.segment();
      if (bias != null) {
        TileRows.read(bias.dtype(), HostMemory.of(bias), 0, memory, partBias, n, 1);
      }
      workers.run(
          grid.count(),
          (worker, piece) -> {
            int column = grid.firstColumn(piece);
            int rows = grid.rowsOf(piece);
            int columns = grid.columnsOf(piece);
            MemorySegment tile = rounds ? memory : result;
            long position = rounds ? scratch.own(worker, partTile) : grid.position(piece);
            long stride = rounds ? columns : n;
            engine.multiply(
                worker,
                left.dtype(),
                rows,
                columns,
                k,
                false,
                left.at((long) grid.firstRow(piece) * k),
                k,
                transposed,
                right.at(transposed ? (long) column * k : column),
                transposed ? k : n,
                false,
                tile.address() + position * Float.BYTES,
                stride);
            for (int r = 0; r < rows; r++) {
              long row = position + r * stride;
              if (bias != null) {
                TileRows.add(memory, partBias + column, tile, row, columns);
              }
              if (rounds) {
                long to = grid.position(piece) + (long) r * n;
                TileRows.write(c.dtype(), tile, row, result, to, columns, 1);
              }
            }
          });
    }
  }

  /** See {@link io.panatron.kernels.Backend#linearBackwardWeight}. */
  void backwardWeight(
      MemoryScope scope, Tensor x, Tensor dy, Tensor dWeight, @Nullable Tensor dBias) {
    int tokens = x.shape().rows();
    int in = x.shape().columns();
    int out = dy.shape().columns();
    TileGrid grid = TileGrid.of(out, in);
    CpuScratch.Plan plan = CpuScratch.plan("linear");
    long partX = plan.share(MatmulOperand.scratchElements(x, engine));
    long partDy = plan.share(MatmulOperand.scratchElements(dy, engine));
    try (CpuScratch scratch = plan.take(scope, workers.threads())) {
      MatmulOperand left = MatmulOperand.of(dy, workers, scratch, partDy);
      MatmulOperand right = MatmulOperand.of(x, workers, scratch, partX);
      workers.run(
          grid.count(),
          (worker, piece) -> {
            for (int token = 0; token < tokens; token += TOKEN_STEP) {
              engine.multiply(
                  worker,
                  left.dtype(),
                  grid.rowsOf(piece),
                  grid.columnsOf(piece),
                  Math.min(TOKEN_STEP, tokens - token),
                  true,
                  left.at((long) token * out + grid.firstRow(piece)),
                  out,
                  false,
                  right.at((long) token * in + grid.firstColumn(piece)),
                  in,
                  true,
                  dWeight.address() + Float.BYTES * grid.position(piece),
                  in);
            }
          });
    }
    if (dBias != null) {
      backwardBias(scope, dy, dBias);
    }
  }

  /** {@code dBias += column sums of dy}, in token order. */
  private void backwardBias(MemoryScope scope, Tensor dy, Tensor dBias) {
    int tokens = dy.shape().rows();
    int out = dy.shape().columns();
    MemorySegment from = HostMemory.of(dy);
    MemorySegment sums = HostMemory.of(dBias);
    CpuScratch.Plan plan = CpuScratch.plan("bias");
    long partRow = plan.own(BIAS_STEP);
    try (CpuScratch scratch = plan.take(scope, workers.threads())) {
      workers.run(
          TileSizes.count(out, BIAS_STEP),
          (worker, piece) -> {
            int column = piece * BIAS_STEP;
            int columns = Math.min(BIAS_STEP, out - column);
            long row = scratch.own(worker, partRow);
            for (int token = 0; token < tokens; token++) {
              long start = (long) token * out + column;
              TileRows.read(dy.dtype(), from, start, scratch.segment(), row, columns, 1);
              TileRows.add(scratch.segment(), row, sums, column, columns);
            }
          });
    }
  }
}
