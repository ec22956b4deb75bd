package io.panatron.tests.parallel;

import static org.assertj.core.api.Assertions.assertThat;

import io.panatron.kernels.DType;
import io.panatron.kernels.Traffic;
import io.panatron.kernels.Traffic.Kind;
import io.panatron.runtime.data.MicroBatch;
import io.panatron.runtime.model.LoadedModel;
import io.panatron.runtime.model.ModelConfig;
import io.panatron.runtime.model.ModelFamily;
import io.panatron.runtime.nn.FlatLayout;
import io.panatron.runtime.nn.MlpActivation;
import io.panatron.runtime.nn.RecomputePlan;
import io.panatron.runtime.nn.TensorParallel;
import io.panatron.runtime.optim.Optimizer;
import io.panatron.runtime.optim.OptimizerSettings;
import io.panatron.runtime.optim.SharedGradients;
import io.panatron.runtime.parallel.RankContext;
import io.panatron.runtime.parallel.topology.ParallelSizes;
import io.panatron.runtime.train.ActivationPlan;
import io.panatron.runtime.train.TrainStep;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What ranks exchange in a step, and the memory of each, are what docs/parallel.md says. */
class TensorParallelTrafficTest {
  private static final int LAYERS = 3;
  private static final int HIDDEN = 12;

  /** Two sequences of 7 and 4 tokens, of which all but the first are targets. */
  private static final int[] STARTS = {0, 7, 11};

  @TempDir Path folder;

  /**
   * What a rank saw.
   *
   * @param traffic of one step of two micro-batches
   * @param summed elements of parameters whose gradients are summed
   * @param ranges in which they lie
   */
  private record Seen(Traffic traffic, long summed, int ranges, long activations) {}

  @ParameterizedTest
  @CsvSource({"2, false", "3, false", "2, true", "3, true"})
  void aStepExchangesWhatTheFormulaSays(int ranks, boolean sequence) {
    ParallelSizes sizes =
        ParallelSizes.ofWorld(ranks).tensor(ranks).sequenceParallel(sequence).build();
    List<Seen> seen = RankDevices.REFERENCE.run(sizes, this::step);
    long tokens = Math.ceilDiv(11, sequence ? ranks : 1) * (sequence ? ranks : 1L);
    long states = tokens * HIDDEN * Float.BYTES;
    // Two numbers in double for each token, of every rank.
    long statistics = tokens * 2 * ranks * Double.BYTES;
    long batches = 2;
    for (int rank = 0; rank < ranks; rank++) {
      Traffic traffic = seen.get(rank).traffic();
      long summedBytes = seen.get(rank).summed() * Float.BYTES;
      int sums = seen.get(rank).ranges();
      if (sequence) {
        verify(
            traffic,
            Kind.ALL_GATHER,
            batches * (6 * LAYERS + 2 + 1),
            batches * ((6 * LAYERS + 2) * states + statistics));
        verify(
            traffic,
            Kind.REDUCE_SCATTER,
            batches * (4 * LAYERS + 2),
            batches * (4 * LAYERS + 2) * states);
        verify(traffic, Kind.ALL_REDUCE, sums, summedBytes);
      } else {
        verify(traffic, Kind.ALL_GATHER, batches, batches * statistics);
        verify(traffic, Kind.REDUCE_SCATTER, 0, 0);
        verify(
            traffic,
            Kind.ALL_REDUCE,
            batches * (4 * LAYERS + 2) + sums,
            batches * (4 * LAYERS + 2) * states + summedBytes);
      }
      long planned =
          ActivationPlan.of(
                  config(ranks),
                  DType.F32,
                  RecomputePlan.NONE,
                  TensorParallel.planned(rank, ranks, sequence),
                  STARTS)
              .peakBytes();
      assertThat(seen.get(rank).activations())
          .as("activations of rank %d", rank)
          .isBetween(planned, planned + statistics + statistics / ranks + 512);
      assertThat(planned)
          .isLessThan(
              ActivationPlan.of(config(ranks), DType.F32, RecomputePlan.NONE, STARTS).peakBytes());
    }
  }

  private static void verify(Traffic traffic, Kind kind, long calls, long bytes) {
    assertThat(traffic.calls(kind)).as("calls of %s", kind).isEqualTo(calls);
    assertThat(traffic.bytes(kind)).as("bytes of %s", kind).isEqualTo(bytes);
  }

  private Seen step(RankContext rank) {
    ModelConfig config = config(rank.sizes().tensor());
    try (LoadedModel model =
        LoadedModel.open(
            rank,
            folder,
            config,
            "the test",
            new LoadedModel.Options(DType.F32, true, 16, 1, false),
            null)) {
      Optimizer optimizer =
          new Optimizer(
              rank.backend(),
              model.run(),
              new OptimizerSettings(OptimizerSettings.Kind.ADAM, 0.1, 1.0, 0.9, 0.95, 1e-8, 0.9),
              model.store(),
              SharedGradients.of(rank, model.store()));
      TrainStep step = new TrainStep(rank, model.network(), optimizer, true, false);
      Traffic before = rank.groups().tensor().traffic();
      step.run(1, List.of(batch(), batch()), 1e-3);
      List<FlatLayout.Range> summed = model.store().layout().ranges(FlatLayout.Sharing.SUMMED);
      return new Seen(
          rank.groups().tensor().traffic().since(before),
          summed.stream().mapToLong(FlatLayout.Range::count).sum(),
          summed.size(),
          Objects.requireNonNull(step.activationPeak()).bytes());
    }
  }

  private static ModelConfig config(int shares) {
    return new ModelConfig(
        ModelFamily.QWEN3,
        20,
        HIDDEN,
        6 * shares,
        LAYERS,
        2 * shares,
        shares,
        4,
        16,
        1e-5,
        10_000,
        null,
        null,
        false,
        false,
        true,
        false,
        true,
        new MlpActivation.Gated(),
        4,
        0.4,
        null,
        null,
        List.of(),
        null);
  }

  private static MicroBatch batch() {
    int tokens = STARTS[STARTS.length - 1];
    int[] ids = new int[tokens];
    int[] positions = new int[tokens];
    int[] labels = new int[tokens];
    float[] weights = new float[tokens];
    for (int t = 0; t < tokens; t++) {
      ids[t] = (3 * t) % 20;
      positions[t] = t < 7 ? t : t - 7;
      labels[t] = (5 * t) % 20;
      weights[t] = 1;
    }
    return new MicroBatch(ids, positions, labels, weights, STARTS, tokens, new int[2]);
  }
}
