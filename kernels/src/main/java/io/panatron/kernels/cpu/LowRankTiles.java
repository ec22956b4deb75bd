package io.panatron.kernels.cpu;

import io.panatron.kernels.LowRank;
import io.panatron.kernels.Tensor;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** Adds a low-rank product to the F32 tiles of a linear layer's result, one by one. */
final class LowRankTiles {
  private final MatmulEngine engine;
  private final CpuScratch scratch;
  private final Parts parts;
  private final CpuLinear.Addition addition;
  private final boolean forward;
  private final TileGrid grid;
  private final MatmulOperand narrow;
  private final MatmulOperand wide;
  private final int width;

  /** Per worker, what dropout multiplies a row of a tile by. */
  private final float[][] factors;

  /** Where the scratch memory of an addition is; nothing of it is used without one. */
  record Parts(long narrow, long wide, long product) {}

  /**
   * @param forward whether {@code h up^T} is added, else {@code mask(g down)}
   */
  LowRankTiles(
      CpuWorkers workers,
      CpuScratch scratch,
      Parts parts,
      CpuLinear.Addition addition,
      boolean forward,
      TileGrid grid) {
    this.engine = workers.engine();
    this.scratch = scratch;
    this.parts = parts;
    this.addition = addition;
    this.forward = forward;
    this.grid = grid;
    narrow = MatmulOperand.of(addition.narrow(), workers, scratch, parts.narrow);
    wide = MatmulOperand.of(factor(addition, forward), workers, scratch, parts.wide);
    width = addition.adapter().width();
    int room = addition.mask() == null ? 0 : DropoutRows.room(grid.tileColumns());
    factors = new float[workers.threads()][room];
  }

  private static Tensor factor(CpuLinear.Addition addition, boolean forward) {
    return forward ? addition.adapter().up() : addition.adapter().down();
  }

  static Parts plan(
      CpuScratch.Plan plan,
      CpuLinear.@Nullable Addition addition,
      boolean forward,
      TileGrid grid,
      MatmulEngine engine) {
    if (addition == null) {
      return new Parts(0, 0, 0);
    }
    long tile = (long) grid.tileRows() * grid.tileColumns();
    return new Parts(
        plan.share(MatmulOperand.scratchElements(addition.narrow(), engine)),
        plan.share(MatmulOperand.scratchElements(factor(addition, forward), engine)),
        plan.own(addition.mask() == null ? 0 : tile));
  }

  /**
   * Adds to a tile that holds the layer's own product.
   *
   * @param tile where the tile is, from {@code position} on, rows {@code stride} apart
   */
  void add(int worker, int piece, MemorySegment tile, long position, long stride) {
    if (forward) {
      addBlocks(worker, piece, tile.address() + position * Float.BYTES, stride);
    } else if (addition.mask() == null) {
      multiplyDown(worker, piece, true, tile.address() + position * Float.BYTES, stride);
    } else {
      addDropped(worker, piece, tile, position, stride);
    }
  }

  private void addBlocks(int worker, int piece, long target, long stride) {
    LowRank adapter = addition.adapter();
    int rank = adapter.rank();
    int begin = grid.firstColumn(piece);
    int end = begin + grid.columnsOf(piece);
    List<LowRank.Block> blocks = adapter.blocks();
    for (int b = 0; b < blocks.size(); b++) {
      LowRank.Block block = blocks.get(b);
      int first = Math.max(begin, block.first());
      int columns = Math.min(end, block.end()) - first;
      if (columns > 0) {
        long row = (long) adapter.firstUp(b) + first - block.first();
        engine.multiply(
            worker,
            narrow.dtype(),
            grid.rowsOf(piece),
            columns,
            rank,
            false,
            narrow.at((long) grid.firstRow(piece) * width + (long) b * rank),
            width,
            true,
            wide.at(row * rank),
            rank,
            true,
            target + (long) (first - begin) * Float.BYTES,
            stride);
      }
    }
  }

  private void multiplyDown(int worker, int piece, boolean accumulate, long target, long stride) {
    engine.multiply(
        worker,
        narrow.dtype(),
        grid.rowsOf(piece),
        grid.columnsOf(piece),
        width,
        false,
        narrow.at((long) grid.firstRow(piece) * width),
        width,
        false,
        wide.at(grid.firstColumn(piece)),
        grid.columns(),
        accumulate,
        target,
        stride);
  }

  private void addDropped(int worker, int piece, MemorySegment tile, long position, long stride) {
    int columns = grid.columnsOf(piece);
    long product = scratch.own(worker, parts.product);
    multiplyDown(worker, piece, false, scratch.address(product), columns);
    float[] kept = factors[worker];
    for (int r = 0; r < grid.rowsOf(piece); r++) {
      long row = product + (long) r * columns;
      int offset =
          DropoutRows.factors(
              Objects.requireNonNull(addition.mask()),
              grid.firstRow(piece) + r,
              0,
              grid.firstColumn(piece),
              columns,
              kept);
      SoftmaxRows.multiply(scratch.segment(), row, columns, kept, offset);
      TileRows.add(scratch.segment(), row, tile, position + r * stride, columns);
    }
  }
}
