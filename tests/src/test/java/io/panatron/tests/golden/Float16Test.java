package io.panatron.tests.golden;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import io.panatron.kernels.Backend;
import io.panatron.kernels.DType;
import io.panatron.kernels.MemoryPool;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.backends.Backends;
import io.panatron.runtime.data.BatchSource;
import io.panatron.runtime.data.ChatTemplates;
import io.panatron.runtime.data.DataPipeline;
import io.panatron.runtime.data.HfTokenizer;
import io.panatron.runtime.data.MicroBatch;
import io.panatron.runtime.model.LoadedModel;
import io.panatron.runtime.model.ParameterLayout;
import io.panatron.runtime.optim.DynamicLossScale;
import io.panatron.runtime.optim.LearningRateSchedule;
import io.panatron.runtime.optim.Optimizer;
import io.panatron.runtime.optim.OptimizerSettings;
import io.panatron.runtime.optim.StateDTypes;
import io.panatron.runtime.parallel.RankContext;
import io.panatron.runtime.tensor.HostTransfer;
import io.panatron.runtime.train.StepResult;
import io.panatron.runtime.train.TrainStep;
import java.time.ZonedDateTime;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Float16 training with a dynamic loss scale is that of {@code golden/float16/oracle.py}: which
 * steps are skipped, how the scale moves, losses, norms and main parameters.
 */
class Float16Test {
  /**
   * Where an F32 sum falls on the other side of a tie of F16, a stored number moves by 2^-11; of a
   * hundred thousand stored numbers, losses see little.
   */
  private static final double LOSS = 1e-4;

  private static final double GRADIENT_NORM = 1e-3;

  /** Adam divides by what the moments hold, so a near-zero gradient's rounding shows in full. */
  private static final double FINAL_NORM = 1e-3;

  private static final double FINAL_SUM = 5e-3;

  private final Golden qwen3 = Golden.open("qwen3");
  private final Golden float16 = Golden.open("float16");

  @ParameterizedTest
  @ValueSource(strings = {"cpu", "reference"})
  void scaledTrainingIsThatOfPyTorch(String device) {
    Backend backend =
        device.equals("cpu") ? Backends.cpu(2, System.getenv()) : Backends.reference();
    LoadedModel.Options options = new LoadedModel.Options(DType.F16, true, 512, 42, true);
    MemoryPool pool = new MemoryPool(backend.device(), (bytes, reserved) -> {});
    try (RankContext rank = RankContext.single(backend, pool);
        LoadedModel model = LoadedModel.open(rank, qwen3.model(), options)) {
      Optimizer optimizer = new Optimizer(backend, model.run(), settings(), model.store());
      TrainStep step = new TrainStep(rank, model.network(), optimizer, true, true);
      compareSteps(step);
      compareMainParameters(rank, model, optimizer);
    }
  }

  private OptimizerSettings settings() {
    JsonNode scaling = float16.at("settings");
    return new OptimizerSettings(
        OptimizerSettings.Kind.ADAM,
        0.1,
        1.0,
        0.9,
        0.95,
        1e-8,
        0.9,
        new DynamicLossScale.Settings(
            scaling.get("initial_loss_scale").asDouble(),
            scaling.get("min_loss_scale").asDouble(),
            scaling.get("loss_scale_window").asInt(),
            scaling.get("hysteresis").asInt()),
        StateDTypes.DEFAULT);
  }

  private void compareSteps(TrainStep step) {
    LearningRateSchedule schedule =
        new LearningRateSchedule(LearningRateSchedule.Style.COSINE, 1e-3, 1e-4, 8, 32);
    List<MicroBatch> rows = microBatches();
    long scheduled = 0;
    int iteration = 0;
    int skipped = 0;
    for (JsonNode expected : float16.at("iterations")) {
      String at = "iteration " + (iteration + 1) + " ";
      double rate = schedule.rateAt(scheduled);
      assertThat(rate).isCloseTo(expected.get("lr_used").asDouble(), within(1e-9));
      List<MicroBatch> batch = new ArrayList<>();
      for (int i = 0; i < 4; i++) {
        batch.add(rows.get((4 * iteration + i) % rows.size()));
      }
      iteration++;
      StepResult result = step.run(iteration, batch, rate);
      assertRelative(at + "loss", result.loss(), expected.get("loss").asDouble(), LOSS);
      assertThat(result.skipped())
          .as(at + "skipped")
          .isEqualTo(expected.get("skipped").asBoolean());
      assertThat(result.lossScale())
          .as(at + "scale")
          .hasValue(expected.get("loss_scale").asDouble());
      if (result.skipped()) {
        skipped++;
        assertThat(result.gradientNorm()).isNaN();
      } else {
        scheduled += 4;
        double norm = expected.get("grad_norm").asDouble();
        assertRelative(at + "grad_norm", result.gradientNorm(), norm, GRADIENT_NORM);
      }
    }
    assertThat(skipped).isBetween(3, iteration - 5);
  }

  private void compareMainParameters(RankContext rank, LoadedModel model, Optimizer optimizer) {
    JsonNode expected = float16.at("final_main_parameters");
    int compared = 0;
    for (ParameterLayout layout : ParameterLayout.of(model.config())) {
      Tensor parameter = model.store().view(optimizer.mainParameters(), layout.name());
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

  private List<MicroBatch> microBatches() {
    try (HfTokenizer tokenizer = HfTokenizer.open(qwen3.model());
        DataPipeline data =
            DataPipeline.open(
                GoldenCase.dataSettings(qwen3.rows()),
                tokenizer,
                ChatTemplates.choose("chatml", true, tokenizer, ZonedDateTime.now()));
        BatchSource source = GoldenCase.inFileOrder(data, tokenizer)) {
      List<MicroBatch> batches = new ArrayList<>();
      for (int i = 0; i < 16; i++) {
        batches.add(source.next());
      }
      return batches;
    }
  }

  private static void assertRelative(
      String what, double actual, double expected, double tolerance) {
    assertThat(actual).as(what).isCloseTo(expected, within(tolerance * Math.abs(expected)));
  }
}
