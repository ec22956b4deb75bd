package io.panatron.tests.golden;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import io.panatron.kernels.Backend;
import io.panatron.kernels.DType;
import io.panatron.kernels.MemoryPool;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.backends.Backends;
import io.panatron.runtime.autograd.Parameter;
import io.panatron.runtime.autograd.TokenLoss;
import io.panatron.runtime.data.BatchSampler;
import io.panatron.runtime.data.BatchSource;
import io.panatron.runtime.data.ChatTemplates;
import io.panatron.runtime.data.ColumnNames;
import io.panatron.runtime.data.DataPipeline;
import io.panatron.runtime.data.DataSettings;
import io.panatron.runtime.data.EncodedSample;
import io.panatron.runtime.data.HfTokenizer;
import io.panatron.runtime.data.LossScale;
import io.panatron.runtime.data.MicroBatch;
import io.panatron.runtime.data.Reading;
import io.panatron.runtime.data.TemplateOptions;
import io.panatron.runtime.data.Tokens;
import io.panatron.runtime.data.Truncation;
import io.panatron.runtime.model.LoadedModel;
import io.panatron.runtime.model.ParameterLayout;
import io.panatron.runtime.optim.Optimizer;
import io.panatron.runtime.optim.OptimizerSettings;
import io.panatron.runtime.parallel.RankContext;
import io.panatron.runtime.train.ChannelLoss;
import io.panatron.runtime.train.DropoutStreams;
import io.panatron.runtime.train.Evaluation;
import io.panatron.runtime.train.StepResult;
import io.panatron.runtime.train.TrainStep;
import java.time.ZonedDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Weighted losses, Dynamic Fine-Tuning and the losses of channels are those of PyTorch, however the
 * rows are laid out in micro-batches. {@code golden/losses/make.py} states the conventions.
 */
class LossesGoldenTest {
  private static final Golden LOSSES = Golden.open("losses");
  private static final Golden MODEL = Golden.open("qwen3");

  /**
   * Rounding of float32 moves cross-entropies of 6 by 2e-7 of themselves, and what DFT makes of
   * them by about six times as much, since it falls with {@code exp(-l)}.
   */
  private static final double LOSS = 1e-5;

  /** As {@link GoldenTest}. */
  private static final double GRADIENT_NORM = 1e-4;

  private static final double TENSOR_GRADIENT_NORM = 1e-3;

  /** How four rows become micro-batches. */
  private enum Layout {
    ROW_BY_ROW(1, true),
    ALL_PACKED(4, true),
    ALL_PADDED(4, false),
    TWO_PACKED(2, true);

    private final int size;
    private final boolean packed;

    Layout(int size, boolean packed) {
      this.size = size;
      this.packed = packed;
    }
  }

  private record Case(JsonNode expected, DType dtype, Layout layout) {
    TokenLoss tokenLoss() {
      return expected.get("dft").asBoolean() ? TokenLoss.DFT : TokenLoss.CROSS_ENTROPY;
    }

    Backend backend() {
      return dtype == DType.F64 ? Backends.reference() : Backends.cpu(2, System.getenv());
    }

    @Override
    public String toString() {
      return "%s, %s, %s, %s"
          .formatted(expected.get("loss_scale").asText(), tokenLoss(), dtype, layout);
    }
  }

  static List<Case> cases() {
    List<Case> cases = new ArrayList<>();
    for (JsonNode expected : LOSSES.at("cases")) {
      cases.add(new Case(expected, DType.F64, Layout.ROW_BY_ROW));
      Stream.of(Layout.values())
          .map(layout -> new Case(expected, DType.F32, layout))
          .forEach(cases::add);
    }
    return cases;
  }

  @ParameterizedTest
  @MethodSource("cases")
  void lossesAndGradientsAreThoseOfPyTorch(Case golden) {
    try (HfTokenizer tokenizer = HfTokenizer.open(MODEL.model());
        DataPipeline data =
            DataPipeline.open(
                settings(golden.expected().get("loss_scale").asText()),
                tokenizer,
                ChatTemplates.choose(
                    TemplateOptions.DEFAULT.withTemplate("chatml"),
                    tokenizer,
                    "qwen3",
                    ZonedDateTime.now()));
        RankContext rank = rank(golden.backend());
        LoadedModel model =
            LoadedModel.open(
                rank,
                MODEL.model(),
                new LoadedModel.Options(golden.dtype(), true, 512, 42, true))) {
      checkRows(golden.expected().get("rows"), data);
      BatchSource.Settings layout =
          new BatchSource.Settings(golden.layout().packed, tokenizer.padId().orElse(0), 0, 1);
      checkTraining(golden, rank, model, data, layout);
      Evaluation.Result evaluated =
          new Evaluation(
                  rank,
                  model.network(),
                  () ->
                      BatchSource.evaluation(
                          data.validation(), golden.layout().size, 0, 1, layout, 4),
                  true,
                  golden.tokenLoss())
              .run();
      checkLoss(golden.expected(), evaluated.loss(), evaluated.targetTokens());
      checkChannels(golden.expected().get("channels"), evaluated.channels());
    }
  }

  private static DataSettings settings(String lossScale) {
    String rows = LOSSES.folder().resolve("rows.jsonl").toString();
    return new DataSettings(
        false,
        List.of(rows),
        List.of(rows),
        0,
        42,
        false,
        false,
        null,
        null,
        Truncation.DELETE,
        LossScale.parse(lossScale),
        true,
        new Reading(ColumnNames.DEFAULT, null, null, false, Tokens.LAZY, null, true));
  }

  private static RankContext rank(Backend backend) {
    return RankContext.single(backend, new MemoryPool(backend.device(), (bytes, reserved) -> {}));
  }

  private static void checkRows(JsonNode expected, DataPipeline data) {
    assertThat(data.training().size()).isEqualTo(expected.size());
    for (int row = 0; row < expected.size(); row++) {
      EncodedSample sample = data.training().get(row);
      assertThat(sample.ids()).isEqualTo(Golden.ints(expected.get(row).get("ids")));
      for (int t = 0; t < sample.length(); t++) {
        assertThat((double) sample.weights()[t])
            .as("weight of token %d of row %d", t, row)
            .isEqualTo(expected.get(row).get("weights").get(t).asDouble());
      }
    }
  }

  private static void checkTraining(
      Case golden,
      RankContext rank,
      LoadedModel model,
      DataPipeline data,
      BatchSource.Settings layout) {
    Optimizer optimizer =
        new Optimizer(
            rank.backend(),
            model.run(),
            new OptimizerSettings(OptimizerSettings.Kind.ADAM, 0.1, 1.0, 0.9, 0.95, 1e-8, 0.9),
            model.store());
    TrainStep step =
        new TrainStep(
            rank, model.network(), optimizer, true, true, golden.tokenLoss(), DropoutStreams.NONE);
    int size = golden.layout().size;
    BatchSampler inFileOrder =
        BatchSampler.of(new BatchSampler.Shape(4, size, 0, 1), true, false, false);
    List<MicroBatch> batches = new ArrayList<>();
    try (BatchSource source = BatchSource.training(data.training(), inFileOrder, layout, 0)) {
      for (int i = 0; i < 4 / size; i++) {
        batches.add(source.next());
      }
    }
    StepResult result = step.run(1, batches, 0);
    JsonNode expected = golden.expected();
    checkLoss(expected, result.loss(), result.targetTokens());
    checkChannels(expected.get("channels"), result.channels());
    assertRelative(
        "grad_norm", result.gradientNorm(), expected.get("grad_norm").asDouble(), GRADIENT_NORM);
    checkGradients(expected.get("grad_norms"), rank, model, result.targetTokens());
  }

  private static void checkGradients(
      JsonNode expected, RankContext rank, LoadedModel model, long targets) {
    for (ParameterLayout layout : ParameterLayout.of(model.config())) {
      Parameter parameter = model.store().parameter(layout.name());
      for (ParameterLayout.Part part : layout.parts()) {
        Tensor rows = parameter.trainedGradient().slice(part.firstRow(), part.rows());
        double norm = Math.sqrt(rank.backend().sumOfSquares(rows)) / targets;
        assertRelative(
            part.hfName(), norm, expected.get(part.hfName()).asDouble(), TENSOR_GRADIENT_NORM);
      }
    }
  }

  private static void checkLoss(JsonNode expected, double loss, long targets) {
    assertThat(targets).isEqualTo(expected.get("loss_tokens").asLong());
    assertRelative("loss", loss, expected.get("loss").asDouble(), LOSS);
  }

  private static void checkChannels(JsonNode expected, Map<String, ChannelLoss> channels) {
    assertThat(channels.keySet())
        .containsExactlyInAnyOrderElementsOf(
            expected.properties().stream().map(Map.Entry::getKey).toList());
    channels.forEach((name, loss) -> {
      assertThat(loss.targetTokens()).isEqualTo(expected.get(name).get("tokens").asLong());
      assertRelative(
          "loss of " + name, loss.mean(), expected.get(name).get("loss").asDouble(), LOSS);
    });
  }

  private static void assertRelative(
      String what, double actual, double expected, double tolerance) {
    assertThat(actual).as(what).isCloseTo(expected, within(tolerance * Math.abs(expected)));
  }
}
