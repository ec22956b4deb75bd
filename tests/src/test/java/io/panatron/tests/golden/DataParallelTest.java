package io.panatron.tests.golden;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import io.panatron.kernels.Backend;
import io.panatron.kernels.DType;
import io.panatron.kernels.MemoryPool;
import io.panatron.kernels.Network;
import io.panatron.kernels.Traffic;
import io.panatron.kernels.Traffic.Kind;
import io.panatron.kernels.backends.Backends;
import io.panatron.kernels.backends.Networks;
import io.panatron.runtime.autograd.Parameter;
import io.panatron.runtime.autograd.TokenLoss;
import io.panatron.runtime.data.BatchSource;
import io.panatron.runtime.data.ChatTemplates;
import io.panatron.runtime.data.DataPipeline;
import io.panatron.runtime.data.HfTokenizer;
import io.panatron.runtime.data.MicroBatch;
import io.panatron.runtime.data.TemplateOptions;
import io.panatron.runtime.model.LoadedModel;
import io.panatron.runtime.optim.DataParallel;
import io.panatron.runtime.optim.LearningRateSchedule;
import io.panatron.runtime.optim.Optimizer;
import io.panatron.runtime.optim.OptimizerSettings;
import io.panatron.runtime.optim.SharedGradients;
import io.panatron.runtime.parallel.LocalRanks;
import io.panatron.runtime.parallel.RankContext;
import io.panatron.runtime.parallel.topology.ParallelSizes;
import io.panatron.runtime.tensor.HostTransfer;
import io.panatron.runtime.train.DropoutStreams;
import io.panatron.runtime.train.StepResult;
import io.panatron.runtime.train.TrainStep;
import java.time.Duration;
import java.time.ZonedDateTime;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Ranks that share a global batch train as one rank does. */
class DataParallelTest {
  private static final int ITERATIONS = 8;
  private static final int ROWS = 4;
  private static final long SMALL_BUCKETS = 20_000;

  /** Of the law: norm-wise relative, in F64 on the reference backend and in F32 on cpu. */
  private static double tolerance(DType dtype) {
    return dtype == DType.F64 ? 1e-10 : 1e-5;
  }

  /** What a run of training leaves: results of the steps, and parameters by name. */
  private record Trained(
      List<StepResult> steps, Map<String, double[]> parameters, Traffic traffic, long elements) {}

  private static Trained train(
      String fixture, DType dtype, int ranks, DataParallel.Settings settings, boolean perToken) {
    Golden golden = Golden.open(fixture);
    List<MicroBatch> rows = rows(golden);
    Network network = Networks.local(ranks, new Network.Settings(Duration.ofMinutes(2), true));
    ParallelSizes sizes = ParallelSizes.ofWorld(ranks).build();
    return new LocalRanks(sizes, network, devices(dtype), Duration.ofSeconds(20))
        .run(rank -> trainRank(rank, golden, dtype, rows, settings, perToken))
        .getFirst();
  }

  private static LocalRanks.Devices devices(DType dtype) {
    return new LocalRanks.Devices() {
      @Override
      public Backend openBackend(int rank) {
        return dtype == DType.F64 ? Backends.reference() : Backends.cpu(1, System.getenv());
      }

      @Override
      public MemoryPool openMemory(Backend backend) {
        return new MemoryPool(backend.device(), (bytes, reserved) -> {});
      }
    };
  }

  private static List<MicroBatch> rows(Golden golden) {
    try (HfTokenizer tokenizer = HfTokenizer.open(golden.model());
        DataPipeline data =
            DataPipeline.open(
                GoldenCase.dataSettings(golden.rows()),
                tokenizer,
                ChatTemplates.choose(
                    TemplateOptions.DEFAULT.withTemplate("chatml"),
                    tokenizer,
                    "llama",
                    ZonedDateTime.now()));
        BatchSource source = GoldenCase.inFileOrder(data, tokenizer)) {
      List<MicroBatch> batches = new ArrayList<>();
      for (int i = 0; i < 16; i++) {
        batches.add(source.next());
      }
      return batches;
    }
  }

  private static Trained trainRank(
      RankContext rank,
      Golden golden,
      DType dtype,
      List<MicroBatch> rows,
      DataParallel.Settings settings,
      boolean perToken) {
    LoadedModel.Options options = new LoadedModel.Options(dtype, true, 512, 42, true);
    try (LoadedModel model = LoadedModel.open(rank, golden.model(), options)) {
      DataParallel shared = new DataParallel(rank.groups().dataContext(), model.store(), settings);
      Optimizer optimizer =
          new Optimizer(
              rank.backend(),
              model.run(),
              new OptimizerSettings(OptimizerSettings.Kind.ADAM, 0.1, 1.0, 0.9, 0.95, 1e-8, 0.9),
              model.store(),
              SharedGradients.of(rank, model.store(), shared, null));
      TrainStep step =
          new TrainStep(
              rank,
              model.network(),
              optimizer,
              perToken,
              true,
              TokenLoss.CROSS_ENTROPY,
              DropoutStreams.NONE);
      LearningRateSchedule schedule =
          new LearningRateSchedule(LearningRateSchedule.Style.COSINE, 1e-3, 1e-4, 8, 32);
      List<StepResult> steps = new ArrayList<>();
      int ranks = rank.groups().data().size();
      for (int iteration = 0; iteration < ITERATIONS; iteration++) {
        List<MicroBatch> own = new ArrayList<>();
        for (int row = rank.groups().data().rank(); row < ROWS; row += ranks) {
          own.add(rows.get((iteration * ROWS + row) % rows.size()));
        }
        steps.add(step.run(iteration + 1, own, schedule.rateAt((long) iteration * ROWS)));
      }
      Map<String, double[]> parameters = new LinkedHashMap<>();
      for (Parameter parameter : model.store().all()) {
        parameters.put(
            parameter.name(), HostTransfer.download(rank.backend().device(), parameter.value()));
      }
      return new Trained(
          steps,
          parameters,
          rank.groups().dataContext().traffic(),
          model.store().layout().elements());
    }
  }

  private static DataParallel.Settings settings(boolean distributed, boolean overlap) {
    return new DataParallel.Settings(distributed, overlap, SMALL_BUCKETS);
  }

  private static void assertLaw(Trained actual, Trained expected, double tolerance) {
    for (int i = 0; i < ITERATIONS; i++) {
      StepResult step = actual.steps().get(i);
      StepResult one = expected.steps().get(i);
      assertThat(step.loss())
          .as("loss %d", i)
          .isCloseTo(one.loss(), within(tolerance * one.loss()));
      assertThat(step.gradientNorm())
          .as("gradient norm %d", i)
          .isCloseTo(one.gradientNorm(), within(tolerance * one.gradientNorm()));
      assertThat(step.targetTokens()).isEqualTo(one.targetTokens());
      assertThat(step.tokens()).isEqualTo(one.tokens());
    }
    expected
        .parameters()
        .forEach((name, values) ->
            assertThat(distance(actual.parameters().get(name), values))
                .as(name)
                .isLessThan(tolerance));
  }

  /** Norm-wise and relative. */
  private static double distance(double[] actual, double[] expected) {
    double difference = 0;
    double norm = 0;
    for (int i = 0; i < expected.length; i++) {
      difference += (actual[i] - expected[i]) * (actual[i] - expected[i]);
      norm += expected[i] * expected[i];
    }
    return Math.sqrt(difference / norm);
  }

  @ParameterizedTest
  @ValueSource(strings = {"qwen3", "llama3"})
  void twoRanksTrainLikeOneInDouble(String fixture) {
    for (boolean perToken : new boolean[] {true, false}) {
      Trained one = train(fixture, DType.F64, 1, settings(true, false), perToken);
      for (boolean distributed : new boolean[] {true, false}) {
        Trained two = train(fixture, DType.F64, 2, settings(distributed, false), perToken);
        assertLaw(two, one, tolerance(DType.F64));
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"qwen3", "llama3", "gpt2"})
  void ranksTrainLikeOneInFloat(String fixture) {
    Trained one = train(fixture, DType.F32, 1, settings(true, false), true);
    for (int ranks : new int[] {2, 4}) {
      assertLaw(
          train(fixture, DType.F32, ranks, settings(true, false), true), one, tolerance(DType.F32));
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"qwen3", "llama3"})
  void iterationsAreThoseOfPyTorch(String fixture) {
    Trained two = train(fixture, DType.F32, 2, settings(true, true), true);
    int i = 0;
    for (JsonNode expected : Golden.open(fixture).at("train_full", "iterations")) {
      StepResult step = two.steps().get(i++);
      double loss = expected.get("loss").asDouble();
      double norm = expected.get("grad_norm").asDouble();
      assertThat(step.loss()).isCloseTo(loss, within(1e-5 * loss));
      assertThat(step.gradientNorm()).isCloseTo(norm, within(1e-4 * norm));
    }
    assertThat(i).isEqualTo(ITERATIONS);
  }

  /** Three ranks do not divide the flat buffers without the gap at the end. */
  @Test
  void overlappedReductionHasTheBitsOfTheOther() {
    for (int ranks : new int[] {2, 3}) {
      for (boolean distributed : new boolean[] {true, false}) {
        Trained overlapped = train("llama3", DType.F32, ranks, settings(distributed, true), true);
        Trained plain =
            train(
                "llama3",
                DType.F32,
                ranks,
                new DataParallel.Settings(distributed, false, SMALL_BUCKETS),
                true);
        plain
            .parameters()
            .forEach((name, values) ->
                assertThat(distance(overlapped.parameters().get(name), values))
                    .as("%s on %d ranks", name, ranks)
                    .isLessThan(1e-6));
      }
    }
  }

  @Test
  void aRunRepeatsItsBits() {
    Trained first = train("qwen3", DType.F32, 2, settings(true, true), true);
    Trained second = train("qwen3", DType.F32, 2, settings(true, true), true);
    first
        .parameters()
        .forEach(
            (name, values) -> assertThat(second.parameters().get(name)).as(name).isEqualTo(values));
  }

  @Test
  void trafficFollowsFromTheParameters() {
    Trained distributed = train("llama3", DType.F32, 2, settings(true, true), true);
    long bytes = ITERATIONS * distributed.elements() * DType.F32.bytes();
    assertThat(distributed.traffic().bytes(Kind.REDUCE_SCATTER)).isEqualTo(bytes);
    assertThat(distributed.traffic().bytes(Kind.ALL_GATHER)).isEqualTo(bytes);
    assertThat(distributed.traffic().bytes(Kind.ALL_REDUCE)).isZero();

    Trained replicated = train("llama3", DType.F32, 2, settings(false, false), true);
    assertThat(replicated.traffic().bytes(Kind.ALL_REDUCE)).isEqualTo(bytes);
    assertThat(replicated.traffic().calls(Kind.ALL_REDUCE)).isEqualTo(ITERATIONS);
    assertThat(replicated.traffic().bytes(Kind.ALL_GATHER)).isZero();
  }
}
