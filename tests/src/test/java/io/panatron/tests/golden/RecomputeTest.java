package io.panatron.tests.golden;

import static org.assertj.core.api.Assertions.assertThat;

import io.panatron.kernels.Backend;
import io.panatron.kernels.DType;
import io.panatron.kernels.MemoryPool;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.backends.Backends;
import io.panatron.runtime.data.MicroBatch;
import io.panatron.runtime.model.LoadedModel;
import io.panatron.runtime.nn.RecomputeModule;
import io.panatron.runtime.nn.RecomputePlan;
import io.panatron.runtime.optim.Optimizer;
import io.panatron.runtime.optim.OptimizerSettings;
import io.panatron.runtime.parallel.RankContext;
import io.panatron.runtime.train.ActivationPlan;
import io.panatron.runtime.train.StepResult;
import io.panatron.runtime.train.TrainStep;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import java.util.Set;
import java.util.function.Supplier;
import java.util.stream.Stream;
import java.util.zip.CRC32C;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Training under every plan of recomputation has the bits of training that keeps everything. */
class RecomputeTest {
  private static final int STEPS = 3;

  /** Three sequences, so that attention is packed, and more tokens than a block of queries. */
  private static final int[] STARTS = {0, 131, 132, 160};

  /** The models have three layers. */
  private static final List<RecomputePlan> PLANS =
      Stream.concat(
              Stream.of(
                  RecomputePlan.uniform(3, 1), RecomputePlan.uniform(3, 3), RecomputePlan.block(2)),
              Stream.of(
                      EnumSet.of(RecomputeModule.CORE_ATTN),
                      EnumSet.of(RecomputeModule.LAYERNORM),
                      EnumSet.of(RecomputeModule.MLP),
                      EnumSet.allOf(RecomputeModule.class))
                  .map(RecomputePlan::selective))
          .toList();

  private record Place(String name, DType dtype, Supplier<Backend> backend) {
    @Override
    public String toString() {
      return name + " in " + dtype;
    }
  }

  private record Case(Golden fixture, Place place) {
    @Override
    public String toString() {
      return fixture.name() + " on " + place;
    }
  }

  static List<Case> cases() {
    Supplier<Backend> cpu = () -> Backends.cpu(2, System.getenv());
    List<Case> cases = new ArrayList<>();
    // Qwen3 has head norms, Qwen2 biases, Llama neither.
    for (String name : List.of("qwen3", "qwen2", "llama3")) {
      for (DType dtype : List.of(DType.F32, DType.BF16)) {
        cases.add(new Case(Golden.open(name), new Place("cpu", dtype, cpu)));
      }
    }
    Place reference = new Place("reference", DType.F32, Backends::reference);
    cases.add(new Case(Golden.open("qwen3"), reference));
    return cases;
  }

  /**
   * What a training of a few steps came to.
   *
   * @param figures loss and gradient norm of each step as bits, then a checksum of the parameters
   * @param activationBytes the most that a micro-batch took
   */
  private record Outcome(List<String> figures, long activationBytes) {}

  @ParameterizedTest
  @MethodSource("cases")
  void everyPlanGivesTheSameBitsAndTakesTheMemoryPlanned(Case example) {
    Outcome all = train(example, RecomputePlan.NONE, false);
    assertThat(Set.copyOf(all.figures)).as("steps differ").hasSameSizeAs(all.figures);
    for (RecomputePlan plan : PLANS) {
      Outcome outcome = train(example, plan, false);
      assertThat(outcome.figures).as(plan.describe()).isEqualTo(all.figures);
      if (saves(plan, example.fixture.name())) {
        assertThat(outcome.activationBytes).as(plan.describe()).isLessThan(all.activationBytes);
      } else {
        assertThat(outcome.activationBytes)
            .as(plan.describe())
            .isLessThanOrEqualTo(all.activationBytes);
      }
    }
  }

  /**
   * A unit of all layers is rebuilt as a whole, and without head norms attention keeps nothing that
   * could be computed again from something kept.
   */
  private static boolean saves(RecomputePlan plan, String model) {
    return !plan.equals(RecomputePlan.uniform(3, 3))
        && (!plan.equals(RecomputePlan.selective(Set.of(RecomputeModule.CORE_ATTN)))
            || model.equals("qwen3"));
  }

  /** Evicted memory is poisoned under check_memory: whoever read it would not get these bits. */
  @ParameterizedTest
  @MethodSource("cases")
  void checkedMemoryChangesNothing(Case example) {
    Outcome all = train(example, RecomputePlan.NONE, false);
    for (RecomputePlan plan :
        List.of(
            RecomputePlan.uniform(3, 3),
            RecomputePlan.selective(EnumSet.allOf(RecomputeModule.class)))) {
      assertThat(train(example, plan, true).figures).isEqualTo(all.figures);
    }
  }

  private static Outcome train(Case example, RecomputePlan plan, boolean checkMemory) {
    Backend backend = example.place.backend.get();
    MemoryPool pool = new MemoryPool(backend.device(), (bytes, reserved) -> {});
    try (RankContext rank = RankContext.single(backend, pool);
        LoadedModel model =
            LoadedModel.open(
                rank,
                example.fixture.model(),
                new LoadedModel.Options(example.place.dtype, true, 512, 42, checkMemory))) {
      Optimizer optimizer =
          new Optimizer(
              backend,
              model.run(),
              new OptimizerSettings(OptimizerSettings.Kind.ADAM, 0.1, 1.0, 0.9, 0.95, 1e-8, 0.9),
              model.store());
      TrainStep step =
          new TrainStep(rank, model.network().recomputing(plan), optimizer, true, checkMemory);
      Random random = new Random(3);
      List<String> figures = new ArrayList<>();
      for (int iteration = 1; iteration <= STEPS; iteration++) {
        int vocabulary = model.config().vocabSize();
        List<MicroBatch> batches = List.of(batch(random, vocabulary), batch(random, vocabulary));
        StepResult result = step.run(iteration, batches, 1e-3);
        figures.add(
            Double.toHexString(result.loss()) + " " + Double.toHexString(result.gradientNorm()));
      }
      figures.add(checksum(backend, model.store().values()));
      long bytes = Objects.requireNonNull(step.activationPeak()).bytes();
      if (!checkMemory) {
        checkPlan(example, model, plan, bytes);
      }
      return new Outcome(figures, bytes);
    }
  }

  /** The reference backend has its temporaries on the heap, so there the plan is the peak. */
  private static void checkPlan(
      Case example, LoadedModel model, RecomputePlan plan, long measured) {
    ActivationPlan planned = ActivationPlan.of(model.config(), example.place.dtype, plan, STARTS);
    assertThat(planned.keptBytes()).isPositive().isLessThanOrEqualTo(planned.peakBytes());
    if (example.place.name.equals("reference")) {
      assertThat(measured).as(plan.describe()).isEqualTo(planned.peakBytes());
    } else {
      assertThat(measured).as(plan.describe()).isGreaterThanOrEqualTo(planned.peakBytes());
    }
  }

  private static String checksum(Backend backend, Tensor tensor) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment host = arena.allocate(tensor.bytes(), 8);
      backend.device().download(tensor, host);
      CRC32C sum = new CRC32C();
      sum.update(host.asByteBuffer());
      return HexFormat.of().toHexDigits(sum.getValue());
    }
  }

  private static MicroBatch batch(Random random, int vocabulary) {
    int tokens = STARTS[STARTS.length - 1];
    int[] ids = random.ints(tokens, 0, vocabulary).toArray();
    int[] positions = new int[tokens];
    int[] labels = new int[tokens];
    float[] weights = new float[tokens];
    int targets = 0;
    for (int s = 1; s < STARTS.length; s++) {
      for (int t = STARTS[s - 1]; t < STARTS[s]; t++) {
        positions[t] = t - STARTS[s - 1];
        boolean target = t + 1 < STARTS[s];
        labels[t] = target ? ids[t + 1] : MicroBatch.NO_LABEL;
        weights[t] = target ? 1 : 0;
        targets += target ? 1 : 0;
      }
    }
    return new MicroBatch(
        ids, positions, labels, weights, STARTS, targets, new int[STARTS.length - 1]);
  }
}
