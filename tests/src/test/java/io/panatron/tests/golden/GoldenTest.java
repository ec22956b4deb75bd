package io.panatron.tests.golden;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import io.panatron.kernels.AttentionLayout;
import io.panatron.kernels.Backend;
import io.panatron.kernels.DType;
import io.panatron.kernels.Device;
import io.panatron.kernels.MemoryPool;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import io.panatron.runtime.autograd.Parameter;
import io.panatron.runtime.autograd.Tape;
import io.panatron.runtime.data.BatchSource;
import io.panatron.runtime.data.ChatTemplates;
import io.panatron.runtime.data.DataPipeline;
import io.panatron.runtime.data.HfTokenizer;
import io.panatron.runtime.data.MicroBatch;
import io.panatron.runtime.data.TemplateOptions;
import io.panatron.runtime.generate.Completion;
import io.panatron.runtime.generate.GenerationSettings;
import io.panatron.runtime.generate.Generator;
import io.panatron.runtime.generate.TokenListener;
import io.panatron.runtime.model.LoadedModel;
import io.panatron.runtime.model.ParameterLayout;
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
import java.util.Set;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * What PyTorch and transformers computed on tiny models, computed again.
 *
 * <p>Conventions: losses are summed over targets and divided by their number; rows 0 to 3 form one
 * batch; training takes micro-batches of one row, four to a step, rows in file order, wrapping.
 */
class GoldenTest {
  /** Rounding of float32 in another order moves logits by 2e-5 here. */
  private static final double LOGIT = 1e-4;

  /** Rounding moves losses by 2e-7; a wrong weight-decay group by 2e-5 within eight iterations. */
  private static final double LOSS = 1e-5;

  /** Rounding moves gradient norms by 2e-6. */
  private static final double GRADIENT_NORM = 1e-4;

  /** Rounding moves the gradient norm of one tensor by 1e-5. */
  private static final double TENSOR_GRADIENT_NORM = 1e-3;

  /** The L2 norm of a trained tensor; rounding moves it by less than 1e-5. */
  private static final double FINAL_NORM = 1e-4;

  /**
   * The sum of a trained tensor, relative to its L2 norm, since the sum itself may be near zero.
   */
  private static final double FINAL_SUM = 1e-3;

  static List<GoldenCase> cases() {
    return GoldenCase.all();
  }

  @ParameterizedTest
  @MethodSource("cases")
  void logitsLossAndGradientsOfOneRowAreThoseOfPyTorch(GoldenCase golden) {
    try (Session session = new Session(golden)) {
      JsonNode expected = golden.fixture().at("forward", "row0");
      MicroBatch row = session.microBatches(1).getFirst();
      double[] logits = session.logits(row);
      int columns = expected.get("logits").get(0).size();
      for (int i = 0; i < logits.length; i++) {
        double value = expected.get("logits").get(i / columns).get(i % columns).asDouble();
        assertThat(logits[i]).as("logit %d", i).isCloseTo(value, within(LOGIT));
      }
      session.checkForwardBackward(expected, List.of(row));
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void lossAndGradientsOfFourRowsAreThoseOfPyTorch(GoldenCase golden) {
    try (Session session = new Session(golden)) {
      session.checkForwardBackward(
          golden.fixture().at("forward", "rows0to3"), session.microBatches(4));
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void eightIterationsOfTrainingAreThoseOfPyTorch(GoldenCase golden) {
    try (Session session = new Session(golden)) {
      LearningRateSchedule schedule =
          new LearningRateSchedule(LearningRateSchedule.Style.COSINE, 1e-3, 1e-4, 8, 32);
      List<MicroBatch> rows = session.microBatches(16);
      int next = 0;
      long consumed = 0;
      for (JsonNode expected : golden.fixture().at("train_full", "iterations")) {
        List<MicroBatch> batch = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
          batch.add(rows.get(next++ % rows.size()));
        }
        double rate = schedule.rateAt(consumed);
        assertThat(rate).isCloseTo(expected.get("lr_used").asDouble(), within(1e-9));
        StepResult result = session.step.run(next / 4, batch, rate);
        consumed += 4;
        assertThat(result.targetTokens()).isEqualTo(expected.get("loss_tokens").asLong());
        assertRelative("loss", result.loss(), expected.get("loss").asDouble(), LOSS);
        assertRelative(
            "grad_norm",
            result.gradientNorm(),
            expected.get("grad_norm").asDouble(),
            GRADIENT_NORM);
        assertThat(schedule.rateAt(consumed))
            .isCloseTo(expected.get("learning_rate").asDouble(), within(1e-9));
      }
      session.checkFinalTensors(golden.fixture().at("train_full", "final"));
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void greedyContinuationsAreThoseOfTransformers(GoldenCase golden) {
    try (Session session = new Session(golden)) {
      List<int[]> prompts = new ArrayList<>();
      List<int[]> expected = new ArrayList<>();
      for (JsonNode item : golden.fixture().at("generate")) {
        prompts.add(Golden.ints(item.get("prompt_ids")));
        expected.add(Golden.ints(item.get("new_ids")));
      }
      GenerationSettings greedy = GenerationSettings.greedy(12, Set.of(), 16);
      assertThat(session.generate(prompts, greedy)).containsExactlyElementsOf(expected);
      assertThat(session.generate(prompts.subList(0, 1), greedy).getFirst())
          .as("alone as in a batch")
          .isEqualTo(expected.getFirst());
    }
  }

  private static void assertRelative(
      String what, double actual, double expected, double tolerance) {
    assertThat(actual).as(what).isCloseTo(expected, within(tolerance * Math.abs(expected)));
  }

  /** A fixture opened on a backend. */
  private static final class Session implements AutoCloseable {
    private final GoldenCase golden;
    private final RankContext rank;
    private final LoadedModel model;
    private final Optimizer optimizer;
    private final TrainStep step;

    Session(GoldenCase golden) {
      this.golden = golden;
      Backend backend = golden.openBackend();
      rank = RankContext.single(backend, new MemoryPool(backend.device(), (bytes, reserved) -> {}));
      model =
          LoadedModel.open(
              rank,
              golden.fixture().model(),
              new LoadedModel.Options(golden.dtype(), true, 512, 42, true));
      optimizer =
          new Optimizer(
              backend,
              model.run(),
              new OptimizerSettings(OptimizerSettings.Kind.ADAM, 0.1, 1.0, 0.9, 0.95, 1e-8, 0.9),
              model.store());
      step = new TrainStep(rank, model.network(), optimizer, true, true);
    }

    List<MicroBatch> microBatches(int count) {
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
        for (int i = 0; i < count; i++) {
          batches.add(source.next());
        }
        return batches;
      }
    }

    List<int[]> generate(List<int[]> prompts, GenerationSettings settings) {
      return new Generator(rank, model.config(), model.network())
          .generate(prompts, settings, TokenListener.NONE).stream()
              .map(Completion::tokens)
              .toList();
    }

    double[] logits(MicroBatch batch) {
      Device device = rank.backend().device();
      try (MemoryScope scope = rank.memory().scope("logits", true)) {
        Tensor logits =
            model
                .network()
                .logits(
                    Tape.inference(rank.backend(), scope),
                    HostTransfer.upload(device, scope, "ids", batch.tokens()),
                    HostTransfer.upload(device, scope, "positions", batch.positions()),
                    AttentionLayout.packed(batch.sequenceStarts()));
        return HostTransfer.download(device, logits);
      }
    }

    /** One step at rate 0 leaves the gradients, scaled by the number of targets, in the store. */
    void checkForwardBackward(JsonNode expected, List<MicroBatch> batches) {
      StepResult result = step.run(1, batches, 0);
      assertThat(result.targetTokens()).isEqualTo(expected.get("loss_tokens").asLong());
      assertRelative("loss", result.loss(), expected.get("loss").asDouble(), LOSS);
      assertRelative(
          "grad_norm", result.gradientNorm(), expected.get("grad_norm").asDouble(), GRADIENT_NORM);
      JsonNode norms = expected.get("grad_norms");
      int compared = 0;
      for (ParameterLayout layout : ParameterLayout.of(model.config())) {
        Parameter parameter = model.store().parameter(layout.name());
        for (ParameterLayout.Part part : layout.parts()) {
          Tensor rows = parameter.trainedGradient().slice(part.firstRow(), part.rows());
          double norm = Math.sqrt(rank.backend().sumOfSquares(rows)) / result.targetTokens();
          assertRelative(
              part.hfName(), norm, norms.get(part.hfName()).asDouble(), TENSOR_GRADIENT_NORM);
          compared++;
        }
      }
      assertThat(compared).isEqualTo(norms.size());
    }

    void checkFinalTensors(JsonNode expected) {
      int compared = 0;
      for (ParameterLayout layout : ParameterLayout.of(model.config())) {
        Parameter parameter = model.store().parameter(layout.name());
        for (ParameterLayout.Part part : layout.parts()) {
          double[] values = floats(parameter.value().slice(part.firstRow(), part.rows()));
          double sum = 0;
          double squares = 0;
          for (double value : values) {
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

    private double[] floats(Tensor tensor) {
      DType dtype = tensor.dtype();
      assertThat(dtype).isIn(DType.F64, DType.F32);
      return HostTransfer.download(rank.backend().device(), tensor);
    }

    @Override
    public void close() {
      model.close();
      rank.close();
    }
  }
}
