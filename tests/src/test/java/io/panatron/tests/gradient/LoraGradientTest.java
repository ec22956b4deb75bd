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
import io.panatron.runtime.autograd.Parameter;
import io.panatron.runtime.autograd.Tape;
import io.panatron.runtime.autograd.TokenLoss;
import io.panatron.runtime.model.LoadedModel;
import io.panatron.runtime.model.ModelConfig;
import io.panatron.runtime.model.lora.AdapterPlan;
import io.panatron.runtime.model.lora.LoraSettings;
import io.panatron.runtime.model.lora.PartialTuning;
import io.panatron.runtime.model.lora.Tuning;
import io.panatron.runtime.nn.DropoutPlan;
import io.panatron.runtime.nn.DropoutRates;
import io.panatron.runtime.nn.RecomputeModule;
import io.panatron.runtime.nn.RecomputePlan;
import io.panatron.runtime.parallel.RankContext;
import io.panatron.runtime.tensor.HostTransfer;
import java.net.URISyntaxException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.random.RandomGenerator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Whole models with adapters, or with a part of them frozen, differentiated. */
class LoraGradientTest {
  private static final double STEP = 1e-5;

  /** Of a central difference in F64 at this step, relative to 1 + slope. */
  private static final double TOLERANCE = 1e-6;

  private static final int[] IDS = {5, 9, 200, 9, 31, 4, 77};
  private static final int[] LABELS = {9, 200, -1, 31, 4, 77, -1};
  private static final int[] POSITIONS = {0, 1, 2, 0, 1, 2, 3};
  private static final int[] STARTS = {0, 3, 7};
  private static final LoraSettings SETTINGS = new LoraSettings(3, 5, 0.4, true, true);

  private static Path model(String name) {
    try {
      var resource = LoraGradientTest.class.getResource("/golden/" + name + "/model");
      return Path.of(Objects.requireNonNull(resource).toURI());
    } catch (URISyntaxException e) {
      throw new IllegalStateException(e);
    }
  }

  private static Tuning lora(String name, List<String> targets, String... saved) {
    ModelConfig config = ModelConfig.read(model(name));
    return Tuning.of(AdapterPlan.named(config, SETTINGS, targets, List.of(saved), null));
  }

  private static Tuning partial(String name, double share, List<String> frozen, String... trained) {
    return new PartialTuning(share, frozen, null, List.of(trained), null)
        .of(ModelConfig.read(model(name)));
  }

  @ParameterizedTest
  @ValueSource(strings = {"qwen2", "qwen3", "gpt2"})
  void gradientsOfAdaptersAndBiasesAreSlopesAlsoUnderDropout(String name) {
    List<String> all = List.of("all-linear", "all-embedding");
    try (Session session = new Session(name, lora(name, all), RecomputePlan.NONE)) {
      session.differentiate();
      assertThat(session.recorded).contains("LoraLinear", "LoraEmbedding");
      assertThat(session.leftBuffers)
          .as("ids, labels, positions, loss weights and losses outlive backward, nothing else")
          .isEqualTo(5);
      session.checkAll();
    }
  }

  @Test
  void projectionsWithAnAEachAndModulesTrainedWholeHaveTheirSlopes() {
    Tuning tuning =
        lora("qwen3", List.of("q_proj", "v_proj", "up_proj"), "output_layer", "k_layernorm");
    try (Session session = new Session("qwen3", tuning, RecomputePlan.NONE)) {
      session.differentiate();
      session.checkAll();
      assertThat(session.model.store().trained())
          .extracting(Parameter::name)
          .contains("lm_head.weight", "model.layers.0.self_attn.k_norm.weight");
    }
  }

  @Test
  void recomputationGivesTheSameBits() {
    for (String name : List.of("qwen3", "gpt2")) {
      Tuning tuning = lora(name, List.of("all-linear"));
      Map<String, double[]> expected;
      try (Session session = new Session(name, tuning, RecomputePlan.NONE)) {
        session.differentiate();
        expected = session.gradients();
      }
      for (RecomputePlan plan : plans()) {
        try (Session session = new Session(name, tuning, plan)) {
          session.differentiate();
          assertThat(session.leftBuffers).as(plan.describe()).isEqualTo(5);
          assertSame(session.gradients(), expected);
        }
      }
    }
  }

  private static List<RecomputePlan> plans() {
    return List.of(
        RecomputePlan.uniform(3, 1),
        RecomputePlan.uniform(3, 3),
        RecomputePlan.block(2),
        RecomputePlan.selective(Set.of(RecomputeModule.values())));
  }

  private static void assertSame(Map<String, double[]> actual, Map<String, double[]> expected) {
    actual.forEach((name, gradient) -> assertThat(gradient).as(name).isEqualTo(expected.get(name)));
  }

  /** A gradient does not depend on which others are computed. */
  @ParameterizedTest
  @ValueSource(strings = {"qwen2", "qwen3", "gpt2"})
  void whatIsTrainedInPartHasTheGradientsOfFullTraining(String name) {
    Map<String, double[]> full;
    try (Session session = new Session(name, Tuning.FULL, RecomputePlan.NONE)) {
      session.differentiate();
      full = session.gradients();
    }
    List<Tuning> tunings =
        List.of(
            partial(name, 0.5, List.of()),
            partial(name, 0, List.of("embedding.", "decoder.layers.0.")),
            partial(name, 1, List.of(), "decoder.layers.1.mlp"),
            partial(name, 1, List.of(), "decoder.layers.1.self_attention.linear_proj"),
            partial(name, 1, List.of(), "decoder.final_layernorm"),
            partial(name, 0, List.of("decoder.layers.2.")));
    for (Tuning tuning : tunings) {
      for (RecomputePlan plan : plans()) {
        try (Session session = new Session(name, tuning, plan)) {
          session.differentiate();
          Map<String, double[]> gradients = session.gradients();
          assertThat(gradients.size()).isBetween(1, full.size() - 1);
          assertSame(gradients, full);
          assertThat(session.leftBuffers).as("%s %s", tuning, plan).isEqualTo(5);
        }
      }
    }
  }

  @Test
  void nothingIsRecordedBelowTheFirstTrainedParameter() {
    Tuning last = partial("qwen3", 1, List.of(), "decoder.layers.2.mlp.linear_fc2");
    try (Session session = new Session("qwen3", last, RecomputePlan.NONE)) {
      session.differentiate();
      assertThat(session.recorded).containsExactly("Linear", "AddRmsNorm", "LinearCrossEntropy");
      assertThat(session.model.store().gradients().elements()).isEqualTo(64 * 104);
    }
    Tuning head = partial("qwen3", 1, List.of(), "output_layer");
    try (Session session = new Session("qwen3", head, RecomputePlan.NONE)) {
      session.differentiate();
      assertThat(session.recorded).isEmpty();
      session.checkAll();
    }
  }

  /** A fixture's model with every weight of its adapters random. */
  private static final class Session implements AutoCloseable {
    private final Backend backend = Backends.reference();
    private final RankContext rank =
        RankContext.single(backend, new MemoryPool(backend.device(), (bytes, reserved) -> {}));
    private final LoadedModel model;
    private final RecomputePlan plan;
    private final double[] weights = new double[IDS.length];
    private List<String> recorded = List.of();
    private int leftBuffers;

    Session(String name, Tuning tuning, RecomputePlan plan) {
      this.plan = plan;
      model =
          LoadedModel.open(
              rank,
              model(name),
              new LoadedModel.Options(DType.F64, true, 16, 3, true).with(tuning));
      RandomGenerator random = new SplittableRandom(7);
      for (Parameter parameter : model.store().all()) {
        if (parameter.name().contains(".lora_")) {
          double[] values = new double[Math.toIntExact(parameter.shape().elements())];
          Arrays.setAll(values, i -> 0.2 * random.nextGaussian());
          HostTransfer.write(backend.device(), values, parameter.value());
        }
      }
      for (int t = 0; t < weights.length; t++) {
        weights[t] = 0.3 + 0.2 * t;
      }
    }

    private double pass(boolean backward) {
      try (MemoryScope scope = rank.memory().scope("step", true)) {
        Tape tape = Tape.recording(backend, scope);
        Tensor losses =
            model
                .network()
                .recomputing(plan)
                .weightedLosses(
                    tape,
                    HostTransfer.upload(backend.device(), scope, "ids", IDS),
                    HostTransfer.upload(backend.device(), scope, "labels", LABELS),
                    HostTransfer.upload(backend.device(), scope, "weights", weights, DType.F64),
                    TokenLoss.CROSS_ENTROPY,
                    HostTransfer.upload(backend.device(), scope, "positions", POSITIONS),
                    AttentionLayout.packed(STARTS),
                    new DropoutPlan(new DropoutRates(0, 0, 0.4), 42, 7, 1, 0));
        if (backward) {
          recorded = tape.operations().stream().map(op -> op.getClass().getSimpleName()).toList();
          tape.backward();
          leftBuffers = scope.liveBuffers();
        }
        double[] values = HostTransfer.download(backend.device(), losses);
        double sum = 0;
        for (int t = 0; t < values.length; t++) {
          sum += weights[t] * values[t];
        }
        return sum;
      }
    }

    void differentiate() {
      pass(true);
    }

    Map<String, double[]> gradients() {
      Map<String, double[]> gradients = new LinkedHashMap<>();
      for (Parameter parameter : model.store().trained()) {
        gradients.put(
            parameter.name(), HostTransfer.download(backend.device(), parameter.trainedGradient()));
      }
      return gradients;
    }

    /** Two elements of each trained parameter. */
    void checkAll() {
      Map<String, double[]> gradients = gradients();
      for (Parameter parameter : model.store().trained()) {
        double[] values = HostTransfer.download(backend.device(), parameter.value());
        // Rows of ids that occur, where the parameter has one for each token.
        int row = values.length / Math.toIntExact(parameter.shape().extent(0));
        for (int i : new int[] {9 * row % values.length, (5 * row + 1) % values.length}) {
          double centre = values[i];
          double above = loss(parameter, values, i, centre + STEP);
          double below = loss(parameter, values, i, centre - STEP);
          loss(parameter, values, i, centre);
          double quotient = (above - below) / (2 * STEP);
          assertThat(gradients.get(parameter.name())[i])
              .as("%s[%d]", parameter.name(), i)
              .isCloseTo(quotient, within(TOLERANCE * (1 + Math.abs(quotient))));
        }
      }
    }

    private double loss(Parameter parameter, double[] values, int i, double value) {
      values[i] = value;
      HostTransfer.write(backend.device(), values, parameter.value());
      return pass(false);
    }

    @Override
    public void close() {
      model.close();
      rank.close();
    }
  }
}
