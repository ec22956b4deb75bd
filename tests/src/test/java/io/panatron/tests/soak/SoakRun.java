package io.panatron.tests.soak;

import io.panatron.kernels.Backend;
import io.panatron.kernels.DType;
import io.panatron.kernels.MemoryPool;
import io.panatron.kernels.backends.Backends;
import io.panatron.runtime.data.MicroBatch;
import io.panatron.runtime.model.LoadedModel;
import io.panatron.runtime.optim.Optimizer;
import io.panatron.runtime.optim.OptimizerSettings;
import io.panatron.runtime.parallel.RankContext;
import io.panatron.runtime.train.TrainStep;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;

/**
 * The process that {@link SoakTest} looks at: many steps of random length on a tiny model. It
 * prints what it used after a warm-up and at the end, as {@code name before after} lines.
 */
final class SoakRun {
  private static final int LONGEST = 160;
  private static final int WARM_UP = 250;

  private final RankContext rank;
  private final LoadedModel model;
  private final TrainStep step;
  private final Random random = new Random(5);
  private long usedBetweenSteps;
  private int done;

  private SoakRun(RankContext rank, LoadedModel model, TrainStep step) {
    this.rank = rank;
    this.model = model;
    this.step = step;
  }

  /** Arguments: model folder, dtype, number of steps. */
  public static void main(String[] arguments) throws IOException {
    Backend backend = Backends.cpu(2, System.getenv());
    try (RankContext rank =
            RankContext.single(backend, new MemoryPool(backend.device(), (bytes, all) -> {}));
        LoadedModel model =
            LoadedModel.open(
                rank,
                Path.of(arguments[0]),
                new LoadedModel.Options(DType.valueOf(arguments[1]), true, LONGEST, 42, false))) {
      Optimizer optimizer =
          new Optimizer(
              backend,
              model.run(),
              new OptimizerSettings(OptimizerSettings.Kind.ADAM, 0.1, 1.0, 0.9, 0.95, 1e-8, 0.9),
              model.store());
      TrainStep step = new TrainStep(rank, model.network(), optimizer, true, false);
      new SoakRun(rank, model, step).run(Integer.parseInt(arguments[2]));
    }
  }

  private void run(int steps) throws IOException {
    usedBetweenSteps = rank.memory().usedBytes();
    while (done < WARM_UP) {
      // The longest and the shortest come first, as no plan could order them worse.
      step(done == 0 ? LONGEST : done == 1 ? 1 : 1 + random.nextInt(LONGEST));
    }
    Figures before = figures();
    while (done < steps) {
      step(1 + random.nextInt(LONGEST));
    }
    Figures after = figures();
    System.out.printf("steps %d %d%n", WARM_UP, done);
    System.out.printf("reserved %d %d%n", before.reserved, after.reserved);
    System.out.printf("used %d %d%n", before.used, after.used);
    System.out.printf("live %d %d%n", before.live, after.live);
    System.out.printf("peak %d %d%n", before.peak, after.peak);
    System.out.printf("heap %d %d%n", before.heap, after.heap);
    System.out.printf("resident %d %d%n", before.resident, after.resident);
  }

  /** What is in use between two steps, and the most that a step of fixed shape needs. */
  private record Figures(long reserved, long used, int live, long peak, long heap, long resident) {}

  private Figures figures() throws IOException {
    MemoryPool pool = rank.memory();
    pool.resetPeak();
    step(100);
    long peak = pool.peakUsedBytes() - pool.usedBytes();
    System.gc();
    Runtime runtime = Runtime.getRuntime();
    return new Figures(
        pool.reservedBytes(),
        pool.usedBytes(),
        model.run().liveBuffers(),
        peak,
        runtime.totalMemory() - runtime.freeMemory(),
        residentBytes());
  }

  private static long residentBytes() throws IOException {
    for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
      if (line.startsWith("VmRSS:")) {
        return Long.parseLong(line.replaceAll("\\D", "")) << 10;
      }
    }
    throw new IOException("/proc/self/status has no VmRSS line");
  }

  private void step(int tokens) {
    step.run(++done, List.of(batch(tokens)), 1e-4);
    long used = rank.memory().usedBytes();
    if (used != usedBetweenSteps) {
      throw new IllegalStateException(
          "step %d of %d tokens left %d bytes in use"
              .formatted(done, tokens, used - usedBetweenSteps));
    }
  }

  /** Random ids, cut into one to three sequences. */
  private MicroBatch batch(int tokens) {
    int sequences = Math.min(tokens, 1 + tokens % 3);
    int[] starts = new int[sequences + 1];
    for (int s = 0; s <= sequences; s++) {
      starts[s] = tokens * s / sequences;
    }
    int[] ids = random.ints(tokens, 0, model.config().vocabSize()).toArray();
    int[] positions = new int[tokens];
    int[] labels = new int[tokens];
    float[] weights = new float[tokens];
    for (int s = 0; s < sequences; s++) {
      for (int t = starts[s]; t < starts[s + 1]; t++) {
        positions[t] = t - starts[s];
        labels[t] = ids[(t + 1) % tokens];
        weights[t] = 1;
      }
    }
    return new MicroBatch(ids, positions, labels, weights, starts, tokens, new int[sequences]);
  }
}
