package io.panatron.tests.gradient;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.panatron.kernels.AttentionLayout;
import io.panatron.kernels.Backend;
import io.panatron.kernels.DType;
import io.panatron.kernels.MemoryPool;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.backends.Backends;
import io.panatron.runtime.autograd.Op;
import io.panatron.runtime.autograd.Parameter;
import io.panatron.runtime.autograd.Tape;
import io.panatron.runtime.data.SequenceRole;
import io.panatron.runtime.data.SequenceTag;
import io.panatron.runtime.data.SequenceTask.ProblemType;
import io.panatron.runtime.model.HeadKind;
import io.panatron.runtime.model.ModelBuilder;
import io.panatron.runtime.model.ModelConfig;
import io.panatron.runtime.model.ModelFamily;
import io.panatron.runtime.model.SequenceReadout;
import io.panatron.runtime.model.TransformerModel;
import io.panatron.runtime.model.WeightInitializer;
import io.panatron.runtime.nn.DropoutPlan;
import io.panatron.runtime.nn.DropoutRates;
import io.panatron.runtime.nn.MlpActivation;
import io.panatron.runtime.nn.ParameterStore;
import io.panatron.runtime.nn.RecomputePlan;
import io.panatron.runtime.task.ClassificationLoss;
import io.panatron.runtime.task.PairLoss;
import io.panatron.runtime.task.RankingLoss;
import io.panatron.runtime.task.SequenceLoss;
import io.panatron.runtime.tensor.HostTransfer;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Losses of sequences through whole models: every parameter's gradient is a difference quotient in
 * F64 on the reference backend, and {@code cpu} agrees with {@code reference} in other dtypes.
 */
class SequenceGradientTest {
  /** As {@link TapeGradientTest}. */
  private static final double STEP = 1e-5;

  private static final double TOLERANCE = 1e-7;

  private static final int[] IDS = {3, 1, 4, 1, 5, 0, 2, 6, 5, 3, 6, 2};
  private static final int[] POSITIONS = {0, 1, 2, 0, 0, 1, 2, 3, 4, 5, 0, 1};
  private static final int[] STARTS = {0, 3, 4, 10, 12};

  /** The third sequence ends with a token of padding. */
  private static final int[] LAST = {2, 3, 8, 11};

  private record Case(
      String name,
      ModelConfig config,
      SequenceReadout readout,
      SequenceLoss loss,
      List<SequenceTag> tags) {
    @Override
    public String toString() {
      return name;
    }
  }

  static List<Case> cases() {
    return List.of(
        new Case(
            "classes",
            config(ModelFamily.QWEN3, false, new HeadKind.Scores(3)),
            new SequenceReadout.AllScores(),
            new ClassificationLoss(ProblemType.SINGLE_LABEL_CLASSIFICATION),
            tags(SequenceRole.SINGLE, 2, 0, 1, 1)),
        new Case(
            "vectors",
            config(ModelFamily.GPT2, true, HeadKind.NONE),
            new SequenceReadout.HiddenState(),
            new PairLoss(PairLoss.Kind.COSINE_SIMILARITY),
            tags(SequenceRole.ANCHOR, 0.8, 0.8, -0.3, -0.3)),
        new Case(
            "tokens of a tied head",
            config(ModelFamily.LLAMA, true, HeadKind.VOCABULARY),
            new SequenceReadout.TokenScores(List.of(5, 2)),
            new RankingLoss.Pointwise(),
            tags(SequenceRole.POSITIVE, 1, 0, 0, 1)),
        new Case(
            "tokens of a head",
            config(ModelFamily.QWEN2, false, HeadKind.VOCABULARY),
            new SequenceReadout.TokenScores(List.of(0, 6)),
            new RankingLoss.Listwise(0.7, 2),
            List.of(
                SequenceTag.of(SequenceRole.POSITIVE, 1),
                SequenceTag.of(SequenceRole.NEGATIVE, 0),
                SequenceTag.of(SequenceRole.NEGATIVE, 0),
                SequenceTag.of(SequenceRole.NEGATIVE, 0))));
  }

  private static List<SequenceTag> tags(SequenceRole role, double... labels) {
    List<SequenceTag> tags = new ArrayList<>();
    for (double label : labels) {
      tags.add(SequenceTag.of(role, label));
    }
    return tags;
  }

  @ParameterizedTest
  @MethodSource("cases")
  void gradientsOfAllParametersAreDifferenceQuotients(Case trained) {
    try (Session session = new Session(trained, Backends.reference(), DType.F64)) {
      assertThat(session.differentiate(RecomputePlan.NONE))
          .as("ids, positions, outputs")
          .isEqualTo(3);
      session.store.all().forEach(session::check);
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void recomputationChangesNoBit(Case trained) {
    try (Session all = new Session(trained, Backends.reference(), DType.F64);
        Session less = new Session(trained, Backends.reference(), DType.F64)) {
      all.differentiate(RecomputePlan.NONE);
      less.differentiate(RecomputePlan.uniform(2, 1));
      assertThat(less.gradients()).isEqualTo(all.gradients());
    }
  }

  record Dtypes(Case trained, DType dtype, double tolerance) {}

  /** F32 rounds at 6e-8 and sums a few hundred products; BF16 at 4e-3, in every activation. */
  static Stream<Dtypes> dtypes() {
    return cases().stream()
        .flatMap(c -> Stream.of(new Dtypes(c, DType.F32, 1e-5), new Dtypes(c, DType.BF16, 3e-2)));
  }

  @ParameterizedTest
  @MethodSource("dtypes")
  void cpuAgreesWithReference(Dtypes compared) {
    try (Session cpu =
            new Session(compared.trained, Backends.cpu(2, System.getenv()), compared.dtype);
        Session reference = new Session(compared.trained, Backends.reference(), compared.dtype)) {
      cpu.differentiate(RecomputePlan.NONE);
      reference.differentiate(RecomputePlan.NONE);
      double[] expected = reference.gradients();
      double[] found = cpu.gradients();
      double difference = 0;
      double norm = 0;
      for (int i = 0; i < expected.length; i++) {
        difference += (found[i] - expected[i]) * (found[i] - expected[i]);
        norm += expected[i] * expected[i];
      }
      assertThat(norm).isPositive();
      assertThat(Math.sqrt(difference / norm)).isLessThan(compared.tolerance);
    }
  }

  /** The kinds of operations that losses of sequences record. */
  static Set<String> operations() {
    Set<String> recorded = new TreeSet<>();
    for (Case trained : cases()) {
      try (Session session = new Session(trained, Backends.reference(), DType.F64)) {
        session.differentiate(RecomputePlan.NONE);
        session.recorded.forEach(op -> recorded.add(op.getClass().getSimpleName()));
      }
    }
    return recorded;
  }

  private static ModelConfig config(ModelFamily family, boolean tied, HeadKind output) {
    boolean gpt2 = family == ModelFamily.GPT2;
    return new ModelConfig(
        family,
        7,
        12,
        6,
        2,
        4,
        gpt2 ? 4 : 2,
        6,
        16,
        1e-5,
        10_000,
        null,
        null,
        tied,
        gpt2 || family == ModelFamily.QWEN2,
        gpt2,
        gpt2,
        family == ModelFamily.QWEN3,
        family.gated()
            ? new MlpActivation.Gated()
            : new MlpActivation.Plain(io.panatron.kernels.Activation.GELU_TANH),
        gpt2 ? 0 : 6,
        0.4,
        null,
        null,
        List.of(),
        null,
        output);
  }

  /** A model with random weights and one packed batch. */
  private static final class Session implements AutoCloseable {
    private final Case trained;
    private final Backend backend;
    private final MemoryPool pool;
    private final MemoryScope run;
    private final ParameterStore store;
    private final TransformerModel model;
    private List<Op> recorded = List.of();

    Session(Case trained, Backend backend, DType dtype) {
      this.trained = trained;
      this.backend = backend;
      pool = new MemoryPool(backend.device(), (bytes, reserved) -> {});
      run = pool.scope("run", true);
      store = new ParameterStore(backend, run, ModelBuilder.specs(trained.config), dtype, true);
      new WeightInitializer(backend, trained.config, 7).initialize(store, run);
      model =
          ModelBuilder.build(
              trained.config,
              store,
              ModelBuilder.rotary(backend.device(), run, trained.config, 16, dtype.accumulator()));
    }

    /** Fills the gradients; returns how many buffers backward left. */
    int differentiate(RecomputePlan plan) {
      try (MemoryScope scope = pool.scope("step", true)) {
        Tape tape = Tape.recording(backend, scope);
        loss(tape, model.recomputing(plan), true);
        recorded = tape.operations();
        tape.backward();
        return scope.liveBuffers();
      }
    }

    private double loss(Tape tape, TransformerModel network, boolean seed) {
      MemoryScope scope = tape.scope();
      Tensor outputs =
          network.sequenceOutputs(
              tape,
              HostTransfer.upload(backend.device(), scope, "ids", IDS),
              HostTransfer.upload(backend.device(), scope, "positions", POSITIONS),
              AttentionLayout.packed(STARTS),
              new DropoutPlan(new DropoutRates(0.2, 0), 42, 7, 1, 0),
              LAST,
              trained.readout);
      double[] flat = HostTransfer.download(backend.device(), outputs);
      int width = outputs.shape().columns();
      double[][] rows = new double[LAST.length][];
      for (int s = 0; s < rows.length; s++) {
        rows[s] = java.util.Arrays.copyOfRange(flat, s * width, (s + 1) * width);
      }
      SequenceLoss.Result result = trained.loss.of(rows, trained.tags);
      if (seed) {
        double[] gradient =
            Stream.of(result.gradient()).flatMapToDouble(java.util.Arrays::stream).toArray();
        Tensor tensor =
            tape.allocate("outputs gradient", outputs.dtype(), outputs.shape().toArray());
        HostTransfer.write(backend.device(), gradient, tensor);
        tape.giveGradient(outputs, tensor);
      }
      return result.loss();
    }

    /** On a recording tape, since no other drops anything. */
    private double loss() {
      try (MemoryScope scope = pool.scope("loss", true)) {
        return loss(Tape.recording(backend, scope), model, false);
      }
    }

    void check(Parameter parameter) {
      double[] values = HostTransfer.download(backend.device(), parameter.value());
      double[] gradient = HostTransfer.download(backend.device(), parameter.trainedGradient());
      int stride = Math.max(1, values.length / 5);
      for (int i = 0; i < values.length; i += stride) {
        double centre = values[i];
        double quotient =
            (loss(parameter, values, i, centre + STEP) - loss(parameter, values, i, centre - STEP))
                / (2 * STEP);
        write(parameter, values, i, centre);
        assertThat(gradient[i])
            .as("%s[%d]", parameter.name(), i)
            .isCloseTo(quotient, within(TOLERANCE * (1 + Math.abs(quotient))));
      }
    }

    private double loss(Parameter parameter, double[] values, int at, double value) {
      write(parameter, values, at, value);
      return loss();
    }

    private void write(Parameter parameter, double[] values, int at, double value) {
      values[at] = value;
      HostTransfer.write(backend.device(), values, parameter.value());
    }

    double[] gradients() {
      return HostTransfer.download(backend.device(), store.gradients());
    }

    @Override
    public void close() {
      run.close();
      pool.close();
      backend.close();
    }
  }
}
