package io.panatron.kernels.cpu;

import io.panatron.kernels.DType;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.VocabularyPart;
import io.panatron.kernels.host.HostMemory;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.jspecify.annotations.Nullable;

/**
 * One call of linear + cross-entropy: chunk by chunk of labelled tokens, the logits tile by tile of
 * the vocabulary, then the statistics of each row over the tiles, then the gradients tile by tile.
 *
 * <p>Each logit is visited while its tile is in a core's cache: after the product its row's
 * exponentials replace it, relative to the greatest of its tile; before the gradient products one
 * factor for each row and tile makes them softmax times upstream gradient. So the exponential is
 * taken once.
 *
 * <p>Where ranks share the vocabulary, each rank's tiles are those of its own rows, and between the
 * statistics and the gradients the ranks tell each other what they found ({@link
 * CrossEntropyExchange}). The chunks are then the same on every rank.
 *
 * <p>A tile's logits lie together ([tokens, {@value #TILE}]): rows of the whole vocabulary's length
 * would be a power of two apart and compete for the same cache lines.
 */
final class CrossEntropyChunks {
  /** Entries of the vocabulary in a tile. */
  private static final int TILE = 512;

  private static final int MOST_TOKENS = 512;
  private static final int LEAST_TOKENS = 128;

  /** Tokens and columns of the input gradient that one worker computes at a time. */
  private static final int INPUT_ROWS = 128;

  private static final int INPUT_COLUMNS = 512;

  /** Tokens of which one worker combines the statistics. */
  private static final int STATISTICS_ROWS = 64;

  private final CpuWorkers workers;
  private final MatmulEngine engine;
  private final Tensor weight;
  private final MemorySegment labels;
  private final int[] rows;
  private final CpuLinearCrossEntropy.Outputs outputs;
  private final int vocab;
  private final int firstEntry;
  private final @Nullable CrossEntropyExchange exchange;
  private final int hidden;
  private final int tiles;
  private final int panelTiles;
  private final CpuScratch scratch;
  private final MemorySegment memory;
  private final long inputs;
  private final long logits;
  private final long maxima;
  private final long sums;
  private final long labelLogits;
  private final long inputGradients;
  private final long widened;
  private final int capacity;
  private int loadedPanel = -1;
  private int first;
  private int tokens;

  /**
   * How much memory a call may take.
   *
   * @param logits logits held at a time, if they suffice for {@value #LEAST_TOKENS} tokens
   * @param widened elements of a BF16 or F16 weight held in F32 at a time, at least one tile's
   */
  record Limits(long logits, long widened) {
    /** 64 MiB and 128 MiB. */
    static final Limits STANDARD = new Limits(16L << 20, 32L << 20);
  }

  private CrossEntropyChunks(
      CpuWorkers workers,
      Limits limits,
      MemoryScope scope,
      Tensor weight,
      @Nullable VocabularyPart part,
      Tensor labels,
      int[] rows,
      int count,
      CpuLinearCrossEntropy.Outputs outputs) {
    this.workers = workers;
    this.engine = workers.engine();
    this.weight = weight;
    this.labels = HostMemory.of(labels);
    this.rows = rows;
    this.outputs = outputs;
    vocab = weight.shape().rows();
    firstEntry = part == null ? 0 : part.firstRow();
    hidden = weight.shape().columns();
    tiles = TileSizes.count(vocab, TILE);
    boolean widens = weight.dtype() != DType.F32;
    panelTiles = widens ? Math.clamp(limits.widened / ((long) TILE * hidden), 1, tiles) : tiles;
    int mostTiles = part == null ? tiles : TileSizes.count(part.mostRows(), TILE);
    int most = Math.clamp(limits.logits / ((long) mostTiles * TILE), LEAST_TOKENS, MOST_TOKENS);
    capacity = TileSizes.even(count, most);
    exchange =
        part == null || outputs.normalised()
            ? null
            : new CrossEntropyExchange(part.group(), scope, capacity);
    CpuScratch.Plan plan = CpuScratch.plan("cross-entropy");
    inputs = plan.share((long) capacity * hidden);
    logits = plan.share((long) tiles * capacity * TILE);
    maxima = plan.share((long) tiles * capacity);
    sums = plan.share((long) tiles * capacity);
    labelLogits = plan.share(capacity);
    inputGradients = plan.share(outputs.differentiates() ? (long) capacity * hidden : 0);
    widened = plan.share(widens ? (long) panelTiles * TILE * hidden : 0);
    scratch = plan.take(scope, workers.threads());
    memory = scratch.segment();
  }

  /**
   * @param rows the tokens that have a label, in its first {@code count} elements
   */
  static void run(
      CpuWorkers workers,
      Limits limits,
      MemoryScope scope,
      Tensor x,
      Tensor weight,
      @Nullable VocabularyPart part,
      Tensor labels,
      int[] rows,
      int count,
      CpuLinearCrossEntropy.Outputs outputs) {
    CrossEntropyChunks pass =
        new CrossEntropyChunks(workers, limits, scope, weight, part, labels, rows, count, outputs);
    try (CpuScratch _ = pass.scratch;
        CrossEntropyExchange _ = pass.exchange) {
      for (int first = 0; first < count; first += pass.capacity) {
        pass.chunk(x, first, Math.min(pass.capacity, count - first));
      }
    }
  }

  private void chunk(Tensor x, int firstRow, int count) {
    first = firstRow;
    tokens = count;
    gather(x);
    if (exchange != null) {
      for (int r = 0; r < tokens; r++) {
        TileRows.set(memory, labelLogits + r, 0); // of labels that another rank has
      }
    }
    int panels = TileSizes.count(tiles, panelTiles);
    for (int panel = 0; panel < panels; panel++) {
      load(panel);
      int base = panel * panelTiles;
      workers.run(panelEnd(panel) - base, (worker, piece) -> logitsTile(worker, base + piece));
    }
    if (exchange != null) {
      for (int r = 0; r < tokens; r++) {
        exchange.set(r, logSumExp(r), TileRows.get(memory, labelLogits + r));
      }
      exchange.gather(tokens);
    }
    workers.run(
        TileSizes.count(tokens, STATISTICS_ROWS),
        (worker, piece) -> {
          int end = Math.min(tokens, (piece + 1) * STATISTICS_ROWS);
          for (int r = piece * STATISTICS_ROWS; r < end; r++) {
            statistics(r);
          }
        });
    Tensor dx = outputs.dx();
    Tensor dWeight = outputs.dWeight();
    if (dx == null && dWeight == null) {
      return;
    }
    // Backwards, since the last panel is still loaded.
    for (int panel = panels - 1; panel >= 0; panel--) {
      load(panel);
      int base = panel * panelTiles;
      int end = panelEnd(panel);
      workers.run(end - base, (worker, piece) -> gradientTile(worker, base + piece, dWeight));
      if (dx == null) {
        continue;
      }
      boolean accumulate = panel < panels - 1;
      int across = TileSizes.count(hidden, INPUT_COLUMNS);
      workers.run(
          TileSizes.count(tokens, INPUT_ROWS) * across,
          (worker, piece) ->
              inputGradientTile(worker, piece / across, piece % across, base, end, accumulate));
    }
    if (dx != null) {
      scatter(dx);
    }
  }

  private int panelEnd(int panel) {
    return Math.min(tiles, (panel + 1) * panelTiles);
  }

  private int tileWidth(int tile) {
    return Math.min(TILE, vocab - tile * TILE);
  }

  private long tileLogits(int tile) {
    return logits + (long) tile * capacity * TILE;
  }

  /** Address of the F32 weight rows of a tile of the loaded panel. */
  private long tileWeight(int tile) {
    long row = (long) tile * TILE;
    return weight.dtype() == DType.F32
        ? weight.address() + row * hidden * Float.BYTES
        : scratch.address(widened + (row - (long) loadedPanel * panelTiles * TILE) * hidden);
  }

  /** Widens the weight rows of a panel, unless they are there or need no widening. */
  private void load(int panel) {
    if (panel == loadedPanel) {
      return;
    }
    loadedPanel = panel;
    if (weight.dtype() == DType.F32) {
      return;
    }
    MemorySegment from = HostMemory.of(weight);
    int base = panel * panelTiles;
    workers.run(
        panelEnd(panel) - base,
        (worker, piece) -> {
          long start = (long) (base + piece) * TILE * hidden;
          long to = widened + (long) piece * TILE * hidden;
          int count = tileWidth(base + piece) * hidden;
          TileRows.read(weight.dtype(), from, start, memory, to, count, 1);
        });
  }

  private void gather(Tensor x) {
    MemorySegment from = HostMemory.of(x);
    workers.run(
        TileSizes.count(tokens, STATISTICS_ROWS),
        (worker, piece) -> {
          int end = Math.min(tokens, (piece + 1) * STATISTICS_ROWS);
          for (int r = piece * STATISTICS_ROWS; r < end; r++) {
            long to = inputs + (long) r * hidden;
            TileRows.read(x.dtype(), from, (long) rows[first + r] * hidden, memory, to, hidden, 1);
          }
        });
  }

  /** The label of a row, counted from the first entry here; outside where another rank has it. */
  private int label(int row) {
    return labels.getAtIndex(ValueLayout.JAVA_INT, rows[first + row]) - firstEntry;
  }

  private void logitsTile(int worker, int tile) {
    int width = tileWidth(tile);
    long start = tileLogits(tile);
    engine.multiply(
        worker,
        DType.F32,
        tokens,
        width,
        hidden,
        false,
        scratch.address(inputs),
        hidden,
        true,
        tileWeight(tile),
        hidden,
        false,
        scratch.address(start),
        width);
    Tensor known = outputs.normalised() ? outputs.logSumExp() : null;
    MemorySegment normalisers = known == null ? null : HostMemory.of(known);
    for (int r = 0; r < tokens; r++) {
      long row = start + (long) r * width;
      int column = label(r) - tile * TILE;
      if (column >= 0 && column < width) {
        TileRows.set(memory, labelLogits + r, TileRows.get(memory, row + column));
      }
      long statistic = (long) tile * capacity + r;
      float shift =
          normalisers == null
              ? SoftmaxRows.max(memory, row, width)
              : TileRows.get(normalisers, rows[first + r]);
      float sum = SoftmaxRows.powers(memory, row, width, SoftmaxRows.LOG2_E, shift);
      TileRows.set(memory, maxima + statistic, shift);
      TileRows.set(memory, sums + statistic, sum);
    }
  }

  /**
   * Combines the tiles of a row; leaves each tile's factor where its maximum was, and the row's
   * upstream gradient where the label's logit was.
   */
  private void statistics(int row) {
    double logSumExp = exchange == null ? logSumExp(row) : exchange.logSumExp(row);
    double labelLogit =
        exchange == null ? TileRows.get(memory, labelLogits + row) : exchange.labelLogit(row);
    int token = rows[first + row];
    double loss = logSumExp - labelLogit;
    write(outputs.losses(), token, loss);
    if (!outputs.normalised()) {
      write(outputs.logSumExp(), token, logSumExp);
    }
    Tensor dLosses = outputs.dLosses();
    if (dLosses != null) {
      float dLoss = TileRows.get(HostMemory.of(dLosses), token);
      if (outputs.dft()) {
        dLoss = (float) (dLoss * Math.exp(-loss));
      }
      TileRows.set(memory, labelLogits + row, dLoss);
      for (int tile = 0; tile < tiles; tile++) {
        long maximum = maxima + (long) tile * capacity + row;
        double factor = dLoss * Math.exp(TileRows.get(memory, maximum) - logSumExp);
        TileRows.set(memory, maximum, (float) factor);
      }
    }
  }

  /** Over the entries here. */
  private double logSumExp(int row) {
    if (outputs.normalised()) {
      return TileRows.get(memory, maxima + row); // every tile was given it as its maximum
    }
    double greatest = Double.NEGATIVE_INFINITY;
    for (int tile = 0; tile < tiles; tile++) {
      greatest = Math.max(greatest, TileRows.get(memory, maxima + (long) tile * capacity + row));
    }
    double total = 0;
    for (int tile = 0; tile < tiles; tile++) {
      long statistic = (long) tile * capacity + row;
      double scale = Math.exp(TileRows.get(memory, maxima + statistic) - greatest);
      total += scale * TileRows.get(memory, sums + statistic);
    }
    return greatest + Math.log(total);
  }

  private static void write(@Nullable Tensor tensor, int token, double value) {
    if (tensor != null) {
      TileRows.set(HostMemory.of(tensor), token, (float) value);
    }
  }

  /**
   * Turns the tile into {@code (softmax - onehot) dLoss} and adds its product with x to dWeight,
   * where that is given.
   */
  private void gradientTile(int worker, int tile, @Nullable Tensor dWeight) {
    int width = tileWidth(tile);
    long start = tileLogits(tile);
    for (int r = 0; r < tokens; r++) {
      long row = start + (long) r * width;
      float factor = TileRows.get(memory, maxima + (long) tile * capacity + r);
      TileRows.scale(memory, row, width, factor);
      int column = label(r) - tile * TILE;
      if (column >= 0 && column < width) {
        float probability = TileRows.get(memory, row + column);
        float dLoss = TileRows.get(memory, labelLogits + r);
        TileRows.set(memory, row + column, probability - dLoss);
      }
    }
    for (int token = 0; dWeight != null && token < tokens; token += CpuLinear.TOKEN_STEP) {
      engine.multiply(
          worker,
          DType.F32,
          width,
          hidden,
          Math.min(CpuLinear.TOKEN_STEP, tokens - token),
          true,
          scratch.address(start + (long) token * width),
          width,
          false,
          scratch.address(inputs + (long) token * hidden),
          hidden,
          true,
          dWeight.address() + (long) tile * TILE * hidden * Float.BYTES,
          hidden);
    }
  }

  private void inputGradientTile(
      int worker, int rowTile, int columnTile, int firstTile, int endTile, boolean accumulate) {
    int row = rowTile * INPUT_ROWS;
    int column = columnTile * INPUT_COLUMNS;
    for (int tile = firstTile; tile < endTile; tile++) {
      int width = tileWidth(tile);
      engine.multiply(
          worker,
          DType.F32,
          Math.min(INPUT_ROWS, tokens - row),
          Math.min(INPUT_COLUMNS, hidden - column),
          width,
          false,
          scratch.address(tileLogits(tile) + (long) row * width),
          width,
          false,
          tileWeight(tile) + (long) column * Float.BYTES,
          hidden,
          accumulate || tile > firstTile,
          scratch.address(inputGradients + (long) row * hidden + column),
          hidden);
    }
  }

  private void scatter(Tensor dx) {
    MemorySegment to = HostMemory.of(dx);
    workers.run(
        TileSizes.count(tokens, STATISTICS_ROWS),
        (worker, piece) -> {
          int end = Math.min(tokens, (piece + 1) * STATISTICS_ROWS);
          for (int r = piece * STATISTICS_ROWS; r < end; r++) {
            long from = inputGradients + (long) r * hidden;
            TileRows.write(
                dx.dtype(), memory, from, to, (long) rows[first + r] * hidden, hidden, 1);
          }
        });
  }
}
