package io.panatron.kernels.cpu;

import io.panatron.kernels.DType;
import io.panatron.kernels.LowRank;
import io.panatron.kernels.LowRankShapes;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.host.HostMemory;
import java.lang.foreign.MemorySegment;

/**
 * The narrow products of a low-rank addition. The wide ones, which end in the layer's own output
 * and input gradient, belong to {@link CpuLinear}.
 *
 * <p>A result of few columns is computed transposed, as few rows: the inner kernels of a product
 * run along rows, and would be nearly empty otherwise.
 */
final class CpuLowRank {
  /** Tokens that a worker takes at a time. */
  private static final int TOKENS = 128;

  /** Columns of a weight gradient that a worker takes at a time. */
  private static final int COLUMNS = 128;

  private final CpuWorkers workers;
  private final MatmulEngine engine;
  private final CpuLinear linear;
  private final LowRankShapes shapes;

  /**
   * @param linear whose products what is narrow is added to
   * @param shapes what is checked before any of it runs
   */
  CpuLowRank(CpuWorkers workers, CpuLinear linear, LowRankShapes shapes) {
    this.workers = workers;
    this.engine = workers.engine();
    this.linear = linear;
    this.shapes = shapes;
  }

  CpuLinear linear() {
    return linear;
  }

  LowRankShapes shapes() {
    return shapes;
  }

  /** See {@link io.panatron.kernels.Backend#lowRankForward}. */
  void forward(MemoryScope scope, Tensor x, LowRank adapter, double scale, Tensor h) {
    int tokens = x.shape().rows();
    int in = x.shape().columns();
    int width = adapter.width();
    CpuScratch.Plan plan = CpuScratch.plan("low rank");
    long partX = plan.share(MatmulOperand.scratchElements(x, engine));
    long partDown = plan.share(MatmulOperand.scratchElements(adapter.down(), engine));
    long partTile = plan.own((long) width * TOKENS);
    long partRow = plan.own(width);
    try (CpuScratch scratch = plan.take(scope, workers.threads())) {
      MatmulOperand input = MatmulOperand.of(x, workers, scratch, partX);
      MatmulOperand down = MatmulOperand.of(adapter.down(), workers, scratch, partDown);
      workers.run(
          TileSizes.count(tokens, TOKENS),
          (worker, piece) -> {
            int first = piece * TOKENS;
            int count = Math.min(TOKENS, tokens - first);
            long tile = scratch.own(worker, partTile);
            multiply(
                worker,
                down,
                0,
                in,
                false,
                width,
                input,
                (long) first * in,
                in,
                true,
                count,
                in,
                false,
                scratch.address(tile),
                count);
            writeTransposed(scratch, tile, worker, partRow, width, count, scale, h, first, 0);
          });
    }
  }

  /** See {@link io.panatron.kernels.Backend#lowRankBackward}. */
  void backward(
      MemoryScope scope,
      Tensor x,
      Tensor h,
      Tensor dy,
      LowRank adapter,
      double scale,
      Tensor g,
      Tensor dDown,
      Tensor dUp) {
    CpuScratch.Plan plan = CpuScratch.plan("low rank");
    long partH = plan.share(MatmulOperand.scratchElements(h, engine));
    long partDy = plan.share(MatmulOperand.scratchElements(dy, engine));
    long partUp = plan.share(MatmulOperand.scratchElements(adapter.up(), engine));
    long partTile = plan.own((long) adapter.rank() * Math.max(TOKENS, COLUMNS));
    long partRow = plan.own(adapter.rank());
    try (CpuScratch scratch = plan.take(scope, workers.threads())) {
      MatmulOperand narrow = MatmulOperand.of(h, workers, scratch, partH);
      MatmulOperand upstream = MatmulOperand.of(dy, workers, scratch, partDy);
      MatmulOperand up = MatmulOperand.of(adapter.up(), workers, scratch, partUp);
      for (int block = 0; block < adapter.blocks().size(); block++) {
        Pass pass = new Pass(scratch, partTile, partRow, adapter, block, dy.shape().rows());
        pass.projectGradient(upstream, dy.shape().columns(), up, scale, g);
        pass.addUpGradient(narrow, upstream, dy.shape().columns(), dUp);
      }
    }
    downGradient(scope, x, g, dDown);
  }

  /** {@code dDown += g^T x}, some columns to a worker. */
  private void downGradient(MemoryScope scope, Tensor x, Tensor g, Tensor dDown) {
    int tokens = x.shape().rows();
    int in = x.shape().columns();
    int width = g.shape().columns();
    CpuScratch.Plan plan = CpuScratch.plan("low rank");
    long partX = plan.share(MatmulOperand.scratchElements(x, engine));
    long partG = plan.share(MatmulOperand.scratchElements(g, engine));
    try (CpuScratch scratch = plan.take(scope, workers.threads())) {
      MatmulOperand input = MatmulOperand.of(x, workers, scratch, partX);
      MatmulOperand left = MatmulOperand.of(g, workers, scratch, partG);
      workers.run(
          TileSizes.count(in, COLUMNS),
          (worker, piece) -> {
            int column = piece * COLUMNS;
            int columns = Math.min(COLUMNS, in - column);
            for (int token = 0; token < tokens; token += CpuLinear.TOKEN_STEP) {
              int depth = Math.min(CpuLinear.TOKEN_STEP, tokens - token);
              multiply(
                  worker,
                  left,
                  (long) token * width,
                  width,
                  true,
                  width,
                  input,
                  (long) token * in + column,
                  in,
                  false,
                  columns,
                  depth,
                  true,
                  dDown.address() + (long) column * Float.BYTES,
                  in);
            }
          });
    }
  }

  /** One block of the backward pass. */
  private final class Pass {
    private final CpuScratch scratch;
    private final long partTile;
    private final long partRow;
    private final LowRank.Block columns;
    private final int rank;
    private final int width;
    private final int firstUp;
    private final int firstNarrow;
    private final int tokens;

    Pass(CpuScratch scratch, long partTile, long partRow, LowRank adapter, int block, int tokens) {
      this.scratch = scratch;
      this.partTile = partTile;
      this.partRow = partRow;
      this.columns = adapter.blocks().get(block);
      this.rank = adapter.rank();
      this.width = adapter.width();
      this.firstUp = adapter.firstUp(block);
      this.firstNarrow = block * rank;
      this.tokens = tokens;
    }

    /** {@code g = scale dy up}. */
    void projectGradient(MatmulOperand dy, int out, MatmulOperand up, double scale, Tensor g) {
      workers.run(
          TileSizes.count(tokens, TOKENS),
          (worker, piece) -> {
            int first = piece * TOKENS;
            int count = Math.min(TOKENS, tokens - first);
            long tile = scratch.own(worker, partTile);
            multiply(
                worker,
                up,
                (long) firstUp * rank,
                rank,
                true,
                rank,
                dy,
                (long) first * out + columns.first(),
                out,
                true,
                count,
                columns.count(),
                false,
                scratch.address(tile),
                count);
            writeTransposed(
                scratch, tile, worker, partRow, rank, count, scale, g, first, firstNarrow);
          });
    }

    /** {@code dUp += dy^T h}, in token order. */
    void addUpGradient(MatmulOperand h, MatmulOperand dy, int out, Tensor dUp) {
      MemorySegment sums = HostMemory.of(dUp);
      workers.run(
          TileSizes.count(columns.count(), COLUMNS),
          (worker, piece) -> {
            int column = piece * COLUMNS;
            int count = Math.min(COLUMNS, columns.count() - column);
            long tile = scratch.own(worker, partTile);
            for (int token = 0; token < tokens; token += CpuLinear.TOKEN_STEP) {
              int depth = Math.min(CpuLinear.TOKEN_STEP, tokens - token);
              multiply(
                  worker,
                  h,
                  (long) token * width + firstNarrow,
                  width,
                  true,
                  rank,
                  dy,
                  (long) token * out + columns.first() + column,
                  out,
                  false,
                  count,
                  depth,
                  token > 0,
                  scratch.address(tile),
                  count);
            }
            for (int c = 0; c < count; c++) {
              long to = (long) (firstUp + column + c) * rank;
              for (int r = 0; r < rank; r++) {
                float sum = TileRows.get(scratch.segment(), tile + (long) r * count + c);
                TileRows.set(sums, to + r, TileRows.get(sums, to + r) + sum);
              }
            }
          });
    }
  }

  private void multiply(
      int worker,
      MatmulOperand a,
      long firstA,
      long lda,
      boolean transposeA,
      int m,
      MatmulOperand b,
      long firstB,
      long ldb,
      boolean transposeB,
      int n,
      int k,
      boolean accumulate,
      long c,
      long ldc) {
    engine.multiply(
        worker,
        a.dtype(),
        m,
        n,
        k,
        transposeA,
        a.at(firstA),
        lda,
        transposeB,
        b.at(firstB),
        ldb,
        accumulate,
        c,
        ldc);
  }

  /** {@code to[firstRow + i][firstColumn + j] = scale tile[j][i]}. */
  private static void writeTransposed(
      CpuScratch scratch,
      long tile,
      int worker,
      long partRow,
      int columns,
      int rows,
      double scale,
      Tensor to,
      int firstRow,
      int firstColumn) {
    MemorySegment memory = scratch.segment();
    MemorySegment target = HostMemory.of(to);
    DType dtype = to.dtype();
    long row = scratch.own(worker, partRow);
    int stride = to.shape().columns();
    for (int i = 0; i < rows; i++) {
      for (int j = 0; j < columns; j++) {
        TileRows.set(memory, row + j, TileRows.get(memory, tile + (long) j * rows + i));
      }
      long at = (long) (firstRow + i) * stride + firstColumn;
      TileRows.write(dtype, memory, row, target, at, columns, (float) scale);
    }
  }
}
