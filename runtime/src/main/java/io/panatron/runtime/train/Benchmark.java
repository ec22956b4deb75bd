package io.panatron.runtime.train;

import io.panatron.kernels.Communicator;
import io.panatron.kernels.DType;
import io.panatron.runtime.autograd.TokenLoss;
import io.panatron.runtime.data.MicroBatch;
import io.panatron.runtime.model.LoadedModel;
import io.panatron.runtime.nn.DropoutRates;
import io.panatron.runtime.nn.ParameterStore;
import io.panatron.runtime.nn.RecomputePlan;
import io.panatron.runtime.optim.DataParallel;
import io.panatron.runtime.optim.Optimizer;
import io.panatron.runtime.optim.OptimizerSettings;
import io.panatron.runtime.optim.SharedGradients;
import io.panatron.runtime.parallel.RankContext;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;

/**
 * Times training steps on random token ids: the very steps of {@code sft}, with AdamW and clipping.
 *
 * @param model Hugging Face folder; weights optional
 * @param sequenceLength tokens of a sequence, all of them targets but the first
 * @param microBatchSize sequences of a micro-batch
 * @param accumulation micro-batches of a step, of all ranks together
 * @param dropout how much is dropped
 * @param recompute what backward computes a second time
 * @param sharing how data-parallel ranks share their work
 * @param warmup steps that are not timed, at least 1
 * @param steps steps that are timed
 */
public record Benchmark(
    Path model,
    int sequenceLength,
    int microBatchSize,
    int accumulation,
    DType dtype,
    DropoutRates dropout,
    RecomputeSettings recompute,
    Sharing sharing,
    int warmup,
    int steps) {

  /**
   * How data-parallel ranks share their work.
   *
   * @param distributed whether each keeps optimizer state of its share alone
   * @param overlapReduce whether gradients are summed while backward runs
   */
  public record Sharing(boolean distributed, boolean overlapReduce) {}

  /**
   * What was measured.
   *
   * @param medianSeconds of the timed steps
   * @param firstStepNanos {@link System#nanoTime} when the first step ended
   * @param activationBytes the most that a micro-batch took besides what lives as long as the run
   */
  public record Result(
      double tokensPerSecond, double medianSeconds, long firstStepNanos, long activationBytes) {}

  /** Runs all steps. */
  public Result run(RankContext rank) {
    LoadedModel.Options options = new LoadedModel.Options(dtype, true, sequenceLength, 0, false);
    try (LoadedModel loaded = LoadedModel.open(rank, model, options)) {
      Optimizer optimizer =
          new Optimizer(
              rank.backend(),
              loaded.run(),
              new OptimizerSettings(OptimizerSettings.Kind.ADAM, 0.1, 1.0, 0.9, 0.95, 1e-8, 0.9),
              loaded.store(),
              SharedGradients.of(rank, loaded.store(), samples(rank, loaded.store()), null));
      RecomputePlan plan = recompute.planFor(loaded.config().numLayers());
      TrainStep step =
          new TrainStep(
              rank,
              loaded.network().recomputing(plan),
              optimizer,
              true,
              false,
              TokenLoss.CROSS_ENTROPY,
              new DropoutStreams(dropout, 0, rank.coordinates()));
      SplittableRandom random = new SplittableRandom(0);
      double[] seconds = new double[steps];
      long firstStep = 0;
      for (int i = 0; i < warmup + steps; i++) {
        long start = System.nanoTime();
        step.run(
            i + 1, ownBatch(random, loaded.config().vocabSize(), rank.coordinates().data()), 1e-4);
        long end = System.nanoTime();
        if (i == 0) {
          firstStep = end;
        }
        if (i >= warmup) {
          seconds[i - warmup] = (end - start) * 1e-9;
        }
      }
      double median = median(seconds);
      long tokens = (long) sequenceLength * microBatchSize * accumulation;
      return new Result(tokens / median, median, firstStep, activationBytes(step));
    }
  }

  private DataParallel samples(RankContext rank, ParameterStore store) {
    Communicator ranks = rank.groups().dataContext();
    long bucketSize = DataParallel.Settings.defaults(ranks.size()).bucketSize();
    return new DataParallel(
        ranks,
        store,
        new DataParallel.Settings(sharing.distributed(), sharing.overlapReduce(), bucketSize));
  }

  private static long activationBytes(TrainStep step) {
    Passes.ActivationPeak peak = step.activationPeak();
    return peak == null ? 0 : peak.bytes();
  }

  /** This rank's micro-batches; every rank draws all. */
  private List<MicroBatch> ownBatch(
      SplittableRandom random, int vocabulary, RankContext.Axis ranks) {
    List<MicroBatch> batches = new ArrayList<>();
    for (int i = 0; i < accumulation; i++) {
      MicroBatch batch = microBatch(random, vocabulary);
      if (i % ranks.size() == ranks.index()) {
        batches.add(batch);
      }
    }
    return batches;
  }

  private MicroBatch microBatch(SplittableRandom random, int vocabulary) {
    int tokens = sequenceLength * microBatchSize;
    int[] ids = random.ints(tokens, 0, vocabulary).toArray();
    int[] positions = new int[tokens];
    int[] labels = new int[tokens];
    float[] weights = new float[tokens];
    int[] starts = new int[microBatchSize + 1];
    for (int t = 0; t < tokens; t++) {
      positions[t] = t % sequenceLength;
      boolean last = positions[t] == sequenceLength - 1;
      labels[t] = last ? MicroBatch.NO_LABEL : ids[t + 1];
      weights[t] = last ? 0 : 1;
    }
    for (int s = 0; s <= microBatchSize; s++) {
      starts[s] = s * sequenceLength;
    }
    return new MicroBatch(
        ids, positions, labels, weights, starts, tokens - microBatchSize, new int[microBatchSize]);
  }

  private static double median(double[] values) {
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    int middle = sorted.length / 2;
    return sorted.length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  }
}
