package io.panatron.tests.golden;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import io.panatron.kernels.Backend;
import io.panatron.kernels.MemoryPool;
import io.panatron.kernels.Tensor;
import io.panatron.runtime.checkpoint.AdapterFiles;
import io.panatron.runtime.data.BatchSource;
import io.panatron.runtime.data.ChatTemplates;
import io.panatron.runtime.data.DataPipeline;
import io.panatron.runtime.data.HfTokenizer;
import io.panatron.runtime.data.MicroBatch;
import io.panatron.runtime.data.TemplateOptions;
import io.panatron.runtime.model.LoadedModel;
import io.panatron.runtime.model.ModelConfig;
import io.panatron.runtime.model.ParameterLayout;
import io.panatron.runtime.model.lora.AdapterPlan;
import io.panatron.runtime.model.lora.LoraSettings;
import io.panatron.runtime.model.lora.Tuning;
import io.panatron.runtime.optim.LearningRateSchedule;
import io.panatron.runtime.optim.Optimizer;
import io.panatron.runtime.optim.OptimizerSettings;
import io.panatron.runtime.parallel.RankContext;
import io.panatron.runtime.tensor.HostTransfer;
import io.panatron.runtime.train.StepResult;
import io.panatron.runtime.train.TrainStep;
import java.time.ZonedDateTime;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Eight iterations of LoRA as PyTorch and PEFT computed them on tiny models: from one adapter, base
 * frozen, rates and decay as in {@link GoldenTest}.
 */
class LoraGoldenTest {
  /** As in {@link GoldenTest}: rounding moves losses by 2e-7. */
  private static final double LOSS = 1e-5;

  /** Rounding moves gradient norms by 2e-6. */
  private static final double GRADIENT_NORM = 1e-4;

  /** Rounding moves the L2 norm of a trained tensor by less than 1e-5. */
  private static final double FINAL_NORM = 1e-4;

  /** Of the sum, relative to the L2 norm. */
  private static final double FINAL_SUM = 1e-3;

  static List<GoldenCase> cases() {
    return GoldenCase.all();
  }

  @ParameterizedTest
  @MethodSource("cases")
  void projectionsNamedAsHuggingFaceDoesHaveAnAEach(GoldenCase golden) {
    ModelConfig config = ModelConfig.read(golden.fixture().model());
    AdapterPlan plan = AdapterPlan.ofFile(config, adapter(golden));
    check(golden, plan, golden.fixture().at("train_lora"));
  }

  @ParameterizedTest
  @MethodSource("cases")
  void fusedProjectionsNamedAsMegatronDoesShareOneA(GoldenCase golden) {
    ModelConfig config = ModelConfig.read(golden.fixture().model());
    AdapterFiles files = adapter(golden);
    LoraSettings settings = LoraSettings.of(files.config());
    List<String> targets = List.of("linear_qkv", "linear_proj", "linear_fc1", "linear_fc2");
    AdapterPlan plan = AdapterPlan.named(config, settings, targets, List.of(), files);
    assertThat(plan.modules())
        .isEqualTo(
            AdapterPlan.named(config, settings, List.of("all-linear"), List.of(), null).modules());
    check(golden, plan, golden.fixture().at("train_lora_shared_a"));
  }

  private static AdapterFiles adapter(GoldenCase golden) {
    return AdapterFiles.open(golden.fixture().folder().resolve("adapter_init"));
  }

  private static void check(GoldenCase golden, AdapterPlan plan, JsonNode expected) {
    Backend backend = golden.openBackend();
    try (RankContext rank =
            RankContext.single(backend, new MemoryPool(backend.device(), (bytes, reserved) -> {}));
        LoadedModel model =
            LoadedModel.open(
                rank,
                golden.fixture().model(),
                new LoadedModel.Options(golden.dtype(), true, 512, 42, true)
                    .with(Tuning.of(plan)))) {
      long trained = model.store().trained().stream().mapToLong(p -> p.shape().elements()).sum();
      assertThat(trained).isEqualTo(expected.get("trainable_parameters").asLong());
      train(rank, model, golden, expected.get("iterations"));
      checkFinal(rank, model, plan, expected.get("final"));
    }
  }

  private static void train(
      RankContext rank, LoadedModel model, GoldenCase golden, JsonNode iterations) {
    OptimizerSettings settings =
        new OptimizerSettings(OptimizerSettings.Kind.ADAM, 0.1, 1.0, 0.9, 0.95, 1e-8, 0.9);
    Optimizer optimizer = new Optimizer(rank.backend(), model.run(), settings, model.store());
    TrainStep step = new TrainStep(rank, model.network(), optimizer, true, true);
    var schedule = new LearningRateSchedule(LearningRateSchedule.Style.COSINE, 1e-3, 1e-4, 8, 32);
    List<MicroBatch> rows = rows(golden);
    int next = 0;
    for (JsonNode expected : iterations) {
      List<MicroBatch> batch = new ArrayList<>();
      double rate = schedule.rateAt(next);
      for (int i = 0; i < 4; i++) {
        batch.add(rows.get(next++ % rows.size()));
      }
      StepResult result = step.run(next / 4, batch, rate);
      assertThat(result.targetTokens()).isEqualTo(expected.get("loss_tokens").asLong());
      assertRelative("loss", result.loss(), expected.get("loss").asDouble(), LOSS);
      double norm = expected.get("grad_norm").asDouble();
      assertRelative("grad_norm", result.gradientNorm(), norm, GRADIENT_NORM);
    }
  }

  private static List<MicroBatch> rows(GoldenCase golden) {
    try (HfTokenizer tokenizer = HfTokenizer.open(golden.fixture().model());
        DataPipeline data =
            DataPipeline.open(
                GoldenCase.dataSettings(golden.fixture().rows()),
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

  private static void checkFinal(
      RankContext rank, LoadedModel model, AdapterPlan plan, JsonNode expected) {
    int compared = 0;
    for (ParameterLayout layout : plan.stateLayouts(model.config())) {
      Tensor parameter = model.store().parameter(layout.name()).value();
      for (ParameterLayout.Part part : layout.parts()) {
        Tensor rows = parameter.slice(part.firstRow(), part.rows());
        double sum = 0;
        double squares = 0;
        for (double value : HostTransfer.download(rank.backend().device(), rows)) {
          sum += value;
          squares += value * value;
        }
        JsonNode numbers = expected.get(part.hfName());
        double norm = numbers.get(1).asDouble();
        assertRelative(part.hfName() + " norm", Math.sqrt(squares), norm, FINAL_NORM);
        assertThat(sum)
            .as(part.hfName() + " sum")
            .isCloseTo(numbers.get(0).asDouble(), within(FINAL_SUM * norm));
        compared++;
      }
    }
    assertThat(compared).isEqualTo(expected.size());
  }

  private static void assertRelative(
      String what, double actual, double expected, double tolerance) {
    assertThat(actual).as(what).isCloseTo(expected, within(tolerance * Math.abs(expected)));
  }
}
