package io.panatron.tests.gradient;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.panatron.kernels.Activation;
import io.panatron.kernels.AttentionLayout;
import io.panatron.kernels.Backend;
import io.panatron.kernels.Communicator;
import io.panatron.kernels.DType;
import io.panatron.kernels.MemoryPool;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.SingleRankCommunicator;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.backends.Backends;
import io.panatron.runtime.autograd.Dropout;
import io.panatron.runtime.autograd.Op;
import io.panatron.runtime.autograd.Parameter;
import io.panatron.runtime.autograd.Tape;
import io.panatron.runtime.autograd.TokenLoss;
import io.panatron.runtime.model.HeadKind;
import io.panatron.runtime.model.ModelBuilder;
import io.panatron.runtime.model.ModelConfig;
import io.panatron.runtime.model.ModelFamily;
import io.panatron.runtime.model.RopeScaling;
import io.panatron.runtime.model.SlidingWindow;
import io.panatron.runtime.model.TransformerModel;
import io.panatron.runtime.model.WeightInitializer;
import io.panatron.runtime.nn.DropoutPlan;
import io.panatron.runtime.nn.DropoutRates;
import io.panatron.runtime.nn.MlpActivation;
import io.panatron.runtime.nn.ParameterStore;
import io.panatron.runtime.nn.RecomputeModule;
import io.panatron.runtime.nn.RecomputePlan;
import io.panatron.runtime.nn.TensorParallel;
import io.panatron.runtime.tensor.HostTransfer;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.random.RandomGenerator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The gradient of every parameter of whole models, through the tape, against finite differences in
 * F64 on the reference backend.
 */
class TapeGradientTest {
  /**
   * Central differences of step 1e-5 err by about 1e-10 of the third derivative and 1e-16 / 1e-5 of
   * the loss; gradients here are of the order of 1.
   */
  private static final double STEP = 1e-5;

  private static final double TOLERANCE = 1e-7;

  private static final int[] IDS = {3, 1, 4, 1, 5, 0, 2, 6, 5, 3};
  private static final int[] LABELS = {1, 4, -100, 5, 0, 2, 6, 5, 3, -100};
  private static final int[] POSITIONS = {0, 1, 2, 0, 0, 1, 2, 3, 4, 5};
  private static final int[] STARTS = {0, 3, 4, 10};
  private static final DropoutPlan DROPOUT = plan(0.3, 0.2);

  static List<ModelConfig> models() {
    return List.of(
        config(ModelFamily.QWEN3, false, false, true),
        config(ModelFamily.QWEN2, true, true, false),
        config(ModelFamily.LLAMA, false, true, false),
        config(ModelFamily.MISTRAL, false, true, false),
        config(ModelFamily.GLM, true, false, false),
        config(ModelFamily.GPT2, true, true, false));
  }

  @ParameterizedTest
  @MethodSource("models")
  void gradientsOfAllParametersAreDifferenceQuotients(ModelConfig config) {
    try (Session session = new Session(config)) {
      session.differentiate(true);
      for (Parameter parameter : session.store.all()) {
        session.check(parameter);
      }
    }
  }

  static List<RecomputePlan> plans() {
    return List.of(
        RecomputePlan.uniform(2, 1),
        RecomputePlan.uniform(2, 2),
        RecomputePlan.block(1),
        RecomputePlan.selective(Set.of(RecomputeModule.CORE_ATTN)),
        RecomputePlan.selective(Set.of(RecomputeModule.MLP)),
        RecomputePlan.selective(Set.of(RecomputeModule.LAYERNORM)),
        RecomputePlan.selective(EnumSet.allOf(RecomputeModule.class)));
  }

  @ParameterizedTest
  @MethodSource("plans")
  void gradientsUnderEveryPlanOfRecomputationHaveTheSameBits(RecomputePlan plan) {
    for (ModelConfig config : models()) {
      try (Session all = new Session(config);
          Session less = new Session(config, plan)) {
        all.differentiate(true);
        less.differentiate(true);
        assertThat(less.download(less.store.gradients()))
            .isEqualTo(all.download(all.store.gradients()));
        assertThat(less.leftBuffers).isEqualTo(all.leftBuffers);
        less.differentiate(false);
      }
    }
  }

  @ParameterizedTest
  @MethodSource("models")
  void lossesDifferentiatedLaterHaveTheSameGradients(ModelConfig config) {
    try (Session early = new Session(config);
        Session late = new Session(config)) {
      early.differentiate(true);
      late.differentiate(false);
      double[] expected = early.download(early.store.gradients());
      double[] actual = late.download(late.store.gradients());
      for (int i = 0; i < expected.length; i++) {
        // The same sums in another order.
        assertThat(actual[i]).as("gradient %d", i).isCloseTo(expected[i], within(1e-12));
      }
    }
  }

  /** The masks are the same in every pass, so that the loss is a function of the parameters. */
  @ParameterizedTest
  @MethodSource("models")
  void gradientsThroughDropoutAreDifferenceQuotients(ModelConfig config) {
    try (Session session = new Session(config, DROPOUT)) {
      session.differentiate(true);
      for (Parameter parameter : session.store.all()) {
        session.check(parameter);
      }
      assertThat(session.recorded).contains("Dropout");
    }
  }

  /** In a group of one rank everything is exchanged, with itself. */
  @ParameterizedTest
  @MethodSource("models")
  void gradientsThroughExchangesBetweenRanksAreDifferenceQuotients(ModelConfig config) {
    for (boolean sequence : new boolean[] {false, true}) {
      try (Session session = new Session(config, sequence)) {
        session.differentiate(true);
        for (Parameter parameter : session.store.all()) {
          session.check(parameter);
        }
        assertThat(session.recorded)
            .contains(sequence ? "GatherTokens" : "CopyToGroup")
            .contains(sequence ? "ScatterTokens" : "ReduceFromGroup");
        assertThat(session.leftBuffers).isEqualTo(5);
      }
    }
  }

  @Test
  void eachRateReachesItsOwnPlaces() {
    ModelConfig config = models().getFirst();
    try (Session none = new Session(config);
        Session hidden = new Session(config, plan(0.3, 0));
        Session attention = new Session(config, plan(0, 0.3));
        Session laterStep = new Session(config, new DropoutPlan(DROPOUT.rates(), 42, 8, 1, 0));
        Session both = new Session(config, DROPOUT)) {
      assertThat(
              Set.of(none.loss(), hidden.loss(), attention.loss(), laterStep.loss(), both.loss()))
          .hasSize(5);
      hidden.differentiate(true);
      attention.differentiate(true);
      // One on the embeddings, and two for each of two layers.
      assertThat(hidden.dropouts).isEqualTo(5);
      assertThat(attention.dropouts).isZero();
    }
  }

  @Test
  void everyKindOfOperationIsRecordedByTheseModels() {
    Set<String> recorded = new TreeSet<>();
    for (ModelConfig config : models()) {
      try (Session session = new Session(config, DROPOUT)) {
        session.differentiate(true);
        recorded.addAll(session.recorded);
      }
    }
    for (RecomputePlan plan : plans()) {
      try (Session session = new Session(models().getFirst(), plan)) {
        session.differentiate(true);
        recorded.addAll(session.recorded);
      }
    }
    for (boolean sequence : new boolean[] {false, true}) {
      try (Session session = new Session(models().getFirst(), sequence)) {
        session.differentiate(true);
        recorded.addAll(session.recorded);
      }
    }
    recorded.addAll(SequenceGradientTest.operations());
    Set<String> permitted = new TreeSet<>();
    Arrays.stream(Op.class.getPermittedSubclasses())
        .forEach(op -> permitted.add(op.getSimpleName()));
    assertThat(recorded).isEqualTo(permitted);
  }

  @ParameterizedTest
  @MethodSource("models")
  void backwardFreesWhatItConsumes(ModelConfig config) {
    for (DropoutPlan dropout : List.of(DropoutPlan.NONE, DROPOUT)) {
      try (Session session = new Session(config, dropout)) {
        session.differentiate(true);
        assertThat(session.leftBuffers)
            .as("ids, labels, positions, loss weights and losses outlive backward, nothing else")
            .isEqualTo(5);
      }
    }
  }

  private static DropoutPlan plan(double hidden, double attention) {
    return new DropoutPlan(new DropoutRates(hidden, attention), 42, 7, 1, 0);
  }

  private static ModelConfig config(
      ModelFamily family, boolean qkvBias, boolean tied, boolean qkNorm) {
    boolean gpt2 = family == ModelFamily.GPT2;
    boolean otherBiases = gpt2 || family == ModelFamily.LLAMA;
    return new ModelConfig(
        family,
        7,
        10,
        6,
        2,
        4,
        gpt2 ? 4 : 2,
        6,
        16,
        1e-5,
        10_000,
        family == ModelFamily.MISTRAL ? new RopeScaling.Yarn(4, 4, 32, 1, 1.2, true) : null,
        family == ModelFamily.MISTRAL ? new SlidingWindow(2, List.of(true, false)) : null,
        tied,
        qkvBias || otherBiases,
        otherBiases,
        otherBiases,
        qkNorm,
        family.gated() ? new MlpActivation.Gated() : new MlpActivation.Plain(Activation.GELU_TANH),
        gpt2 ? 0 : family == ModelFamily.GLM ? 4 : 6,
        0.4,
        null,
        null,
        List.of(),
        null,
        HeadKind.VOCABULARY);
  }

  /** A model with random weights, biases included, and one packed batch. */
  private static final class Session implements AutoCloseable {
    private final Backend backend = Backends.reference();
    private final MemoryPool pool = new MemoryPool(backend.device(), (bytes, reserved) -> {});
    private final MemoryScope run = pool.scope("run", true);
    private final ParameterStore store;
    private final TransformerModel model;
    private final double[] weights = new double[IDS.length];
    private final Set<String> recorded = new TreeSet<>();
    private final DropoutPlan dropout;
    private int leftBuffers;
    private long dropouts;

    Session(ModelConfig config) {
      this(config, RecomputePlan.NONE, DropoutPlan.NONE);
    }

    Session(ModelConfig config, DropoutPlan dropout) {
      this(config, RecomputePlan.NONE, dropout);
    }

    Session(ModelConfig config, RecomputePlan plan) {
      this(config, plan, DropoutPlan.NONE);
    }

    /** In a tensor-parallel group of one. */
    Session(ModelConfig config, boolean sequence) {
      this(
          config,
          RecomputePlan.NONE,
          DropoutPlan.NONE,
          group -> new TensorParallel(group, sequence));
    }

    private Session(ModelConfig config, RecomputePlan plan, DropoutPlan dropout) {
      this(config, plan, dropout, group -> TensorParallel.NONE);
    }

    private Session(
        ModelConfig config,
        RecomputePlan plan,
        DropoutPlan dropout,
        Function<Communicator, TensorParallel> sharing) {
      this.dropout = dropout;
      TensorParallel parallel = sharing.apply(new SingleRankCommunicator(backend));
      store =
          new ParameterStore(backend, run, ModelBuilder.specs(config, parallel), DType.F64, true);
      new WeightInitializer(backend, config, 7).initialize(store, run);
      RandomGenerator random = new SplittableRandom(7);
      for (Parameter parameter : store.all()) {
        if (parameter.shape().rank() == 1) {
          double[] values = random.doubles(parameter.shape().elements(), 0.5, 1.5).toArray();
          HostTransfer.write(backend.device(), values, parameter.value());
        }
      }
      model =
          ModelBuilder.build(
                  config,
                  store,
                  ModelBuilder.rotary(backend.device(), run, config, 16, DType.F64),
                  parallel)
              .recomputing(plan);
      for (int t = 0; t < weights.length; t++) {
        weights[t] = 0.3 + 0.2 * t;
      }
    }

    /** Fills the gradients, through the loss that knows its weights or the one that does not. */
    void differentiate(boolean weighted) {
      try (MemoryScope scope = pool.scope("step", true)) {
        Tape tape = Tape.recording(backend, scope);
        Tensor upstream = upload(scope, weights);
        Tensor ids = HostTransfer.upload(backend.device(), scope, "ids", IDS);
        Tensor labels = HostTransfer.upload(backend.device(), scope, "labels", LABELS);
        Tensor positions = HostTransfer.upload(backend.device(), scope, "positions", POSITIONS);
        AttentionLayout layout = AttentionLayout.packed(STARTS);
        if (weighted) {
          model.weightedLosses(
              tape, ids, labels, upstream, TokenLoss.CROSS_ENTROPY, positions, layout, dropout);
        } else {
          Tensor losses = model.losses(tape, ids, labels, positions, layout);
          tape.giveGradient(losses, upstream);
        }
        dropouts = tape.operations().stream().filter(Dropout.class::isInstance).count();
        tape.operations().forEach(op -> recorded.add(op.getClass().getSimpleName()));
        tape.backward();
        leftBuffers = scope.liveBuffers();
      }
    }

    private Tensor upload(MemoryScope scope, double[] values) {
      return HostTransfer.upload(backend.device(), scope, "weights", values, DType.F64);
    }

    /** Weighted by a recording tape, since no other drops anything. */
    double loss() {
      try (MemoryScope scope = pool.scope("loss", true)) {
        double[] gradients = download(store.gradients());
        Tensor losses =
            model.weightedLosses(
                Tape.recording(backend, scope),
                HostTransfer.upload(backend.device(), scope, "ids", IDS),
                HostTransfer.upload(backend.device(), scope, "labels", LABELS),
                upload(scope, weights),
                TokenLoss.CROSS_ENTROPY,
                HostTransfer.upload(backend.device(), scope, "positions", POSITIONS),
                AttentionLayout.packed(STARTS),
                dropout);
        HostTransfer.write(backend.device(), gradients, store.gradients());
        double[] values = download(losses);
        double sum = 0;
        for (int t = 0; t < values.length; t++) {
          sum += weights[t] * values[t];
        }
        return sum;
      }
    }

    void check(Parameter parameter) {
      double[] values = download(parameter.value());
      double[] gradient = download(parameter.trainedGradient());
      int stride = Math.max(1, values.length / 5);
      for (int i = 0; i < values.length; i += stride) {
        double centre = values[i];
        values[i] = centre + STEP;
        HostTransfer.write(backend.device(), values, parameter.value());
        double above = loss();
        values[i] = centre - STEP;
        HostTransfer.write(backend.device(), values, parameter.value());
        double below = loss();
        values[i] = centre;
        HostTransfer.write(backend.device(), values, parameter.value());
        double quotient = (above - below) / (2 * STEP);
        assertThat(gradient[i])
            .as("%s[%d]", parameter.name(), i)
            .isCloseTo(quotient, within(TOLERANCE * (1 + Math.abs(quotient))));
      }
    }

    double[] download(Tensor tensor) {
      return HostTransfer.download(backend.device(), tensor);
    }

    @Override
    public void close() {
      run.close();
      pool.close();
      backend.close();
    }
  }
}
