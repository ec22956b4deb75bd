package io.panatron.tests.golden;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.panatron.kernels.Backend;
import io.panatron.kernels.DType;
import io.panatron.kernels.MemoryPool;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.backends.Backends;
import io.panatron.runtime.autograd.Parameter;
import io.panatron.runtime.data.BatchSource;
import io.panatron.runtime.data.ChatTemplates;
import io.panatron.runtime.data.ColumnNames;
import io.panatron.runtime.data.DataPipeline;
import io.panatron.runtime.data.DataSettings;
import io.panatron.runtime.data.HfTokenizer;
import io.panatron.runtime.data.LossScale;
import io.panatron.runtime.data.MicroBatch;
import io.panatron.runtime.data.Reading;
import io.panatron.runtime.data.SequenceTask;
import io.panatron.runtime.data.SequenceTask.PairLabel;
import io.panatron.runtime.data.SequenceTask.ProblemType;
import io.panatron.runtime.data.TemplateOptions;
import io.panatron.runtime.data.Tokens;
import io.panatron.runtime.data.Truncation;
import io.panatron.runtime.model.HeadKind;
import io.panatron.runtime.model.LoadedModel;
import io.panatron.runtime.model.ModelConfig;
import io.panatron.runtime.model.ParameterLayout;
import io.panatron.runtime.model.SequenceReadout;
import io.panatron.runtime.nn.RecomputePlan;
import io.panatron.runtime.optim.Optimizer;
import io.panatron.runtime.optim.OptimizerSettings;
import io.panatron.runtime.parallel.RankContext;
import io.panatron.runtime.task.ClassificationLoss;
import io.panatron.runtime.task.InfoNceLoss;
import io.panatron.runtime.task.PairLoss;
import io.panatron.runtime.task.RankingLoss;
import io.panatron.runtime.task.SequenceLoss;
import io.panatron.runtime.tensor.HostTransfer;
import io.panatron.runtime.train.DropoutStreams;
import io.panatron.runtime.train.SequenceObjective;
import io.panatron.runtime.train.StepResult;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.ZonedDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Losses of sequences and their gradients are those of PyTorch, whether rows of a micro-batch are
 * packed or padded. {@code golden/tasks/make.py} states the conventions.
 */
class TasksGoldenTest {
  private static final Golden TASKS = Golden.open("tasks");

  /** Float64 throughout, but norms and rotary angles, which transformers computes in float32. */
  private static final double F64 = 1e-6;

  /** As {@link GoldenTest}: rounding of float32, and of a loss that cancels in unit vectors. */
  private static final double F32_LOSS = 2e-5;

  private static final double F32_GRADIENT = 5e-4;

  /** A gradient this much smaller than the largest is rounding of what cancels. */
  private static final double NEGLIGIBLE = 1e-4;

  @TempDir Path folder;

  private record Case(JsonNode expected, DType dtype, boolean packed, RecomputePlan recompute) {
    Golden model() {
      return Golden.open(expected.get("model").asText());
    }

    String task() {
      return expected.get("task_type").asText();
    }

    JsonNode setting(String name) {
      return expected.get("settings").path(name);
    }

    Backend backend() {
      return dtype == DType.F64 ? Backends.reference() : Backends.cpu(2, System.getenv());
    }

    @Override
    public String toString() {
      return "%s %s %s, %s, %s, %s"
          .formatted(
              expected.get("model").asText(),
              task(),
              expected.get("settings"),
              dtype,
              packed ? "packed" : "padded",
              recompute.describe());
    }
  }

  static List<Case> cases() {
    List<Case> cases = new ArrayList<>();
    for (JsonNode expected : TASKS.at("cases")) {
      cases.add(new Case(expected, DType.F64, true, RecomputePlan.NONE));
      cases.add(new Case(expected, DType.F32, true, RecomputePlan.NONE));
      cases.add(new Case(expected, DType.F32, true, RecomputePlan.uniform(2, 1)));
      if (expected.get("task_type").asText().equals("seq_cls")) {
        cases.add(new Case(expected, DType.F32, false, RecomputePlan.NONE));
      }
    }
    return cases;
  }

  @ParameterizedTest
  @MethodSource("cases")
  void lossesAndGradientsAreThoseOfPyTorch(Case golden) throws IOException {
    Path model = golden.model().model();
    ModelConfig config = ModelConfig.read(model).withOutput(output(golden));
    Backend backend = golden.backend();
    try (HfTokenizer tokenizer = HfTokenizer.open(model);
        DataPipeline data = data(golden, tokenizer);
        RankContext rank =
            RankContext.single(backend, new MemoryPool(backend.device(), (bytes, reserved) -> {}));
        LoadedModel loaded =
            LoadedModel.open(
                rank,
                model,
                config,
                "its config.json",
                new LoadedModel.Options(golden.dtype(), true, 512, 42, true),
                null)) {
      if (loaded.store().contains("score.weight")) {
        writeScores(backend, loaded.store().parameter("score.weight").value());
      }
      Optimizer optimizer =
          new Optimizer(
              backend,
              loaded.run(),
              new OptimizerSettings(OptimizerSettings.Kind.ADAM, 0.1, 1.0, 0.9, 0.95, 1e-8, 0.9),
              loaded.store());
      StepResult result =
          new SequenceObjective(readout(golden, tokenizer), loss(golden))
              .step(
                  rank,
                  loaded.network().recomputing(golden.recompute()),
                  optimizer,
                  true,
                  DropoutStreams.NONE)
              .run(1, batches(golden, data, tokenizer), 0);
      JsonNode expected = golden.expected();
      double tolerance = golden.dtype() == DType.F64 ? F64 : F32_LOSS;
      assertRelative("loss", result.loss(), expected.get("loss").asDouble(), tolerance);
      double gradient = golden.dtype() == DType.F64 ? F64 : F32_GRADIENT;
      double norm = expected.get("grad_norm").asDouble();
      assertRelative("grad_norm", result.gradientNorm(), norm, gradient);
      checkGradients(expected.get("grad_norms"), rank, loaded, gradient, NEGLIGIBLE * norm);
    }
  }

  private static void writeScores(Backend backend, Tensor weight) {
    int columns = weight.shape().columns();
    double[] values = new double[Math.toIntExact(weight.elements())];
    for (int i = 0; i < values.length; i++) {
      values[i] = ((31 * (i / columns) + 17 * (i % columns)) % 23 - 11) / 100.0;
    }
    HostTransfer.write(backend.device(), values, weight);
  }

  private static HeadKind output(Case golden) {
    return switch (golden.task()) {
      case "seq_cls" -> new HeadKind.Scores(golden.setting("num_labels").asInt());
      case "reranker" -> new HeadKind.Scores(1);
      case "embedding" -> HeadKind.NONE;
      default -> HeadKind.VOCABULARY;
    };
  }

  private static SequenceReadout readout(Case golden, HfTokenizer tokenizer) {
    return switch (golden.task()) {
      case "embedding" -> new SequenceReadout.HiddenState();
      case "generative_reranker" ->
          new SequenceReadout.TokenScores(
              Stream.of("positive", "negative")
                  .map(kind -> golden.setting("generative_reranker_" + kind + "_token").asText())
                  .map(tokenizer::encode)
                  .peek(ids -> assertThat(ids).hasSize(1))
                  .map(ids -> ids[0])
                  .toList());
      default -> new SequenceReadout.AllScores();
    };
  }

  private static SequenceLoss loss(Case golden) {
    String type = golden.setting("loss_type").asText();
    return switch (type) {
      case "" -> new ClassificationLoss(problem(golden));
      case "infonce" ->
          new InfoNceLoss(
              new InfoNceLoss.Settings(
                  golden.setting("infonce_temperature").asDouble(0.1),
                  golden.setting("infonce_use_batch").asBoolean(true),
                  hardNegatives(golden),
                  golden.setting("infonce_mask_fake_negative").asBoolean(false),
                  golden.setting("infonce_fake_neg_margin").asDouble(0.1),
                  golden.setting("infonce_include_qq").asBoolean(false),
                  golden.setting("infonce_include_dd").asBoolean(false)));
      case "pointwise_reranker" -> new RankingLoss.Pointwise();
      case "listwise_reranker" ->
          new RankingLoss.Listwise(
              golden.setting("listwise_reranker_temperature").asDouble(1),
              golden.setting("listwise_reranker_min_group_size").asInt(2));
      default -> new PairLoss(PairLoss.Kind.valueOf(type.toUpperCase(Locale.ROOT)));
    };
  }

  private static Integer hardNegatives(Case golden) {
    JsonNode given = golden.setting("infonce_hard_negatives");
    return given.isMissingNode() ? null : given.asInt();
  }

  private static ProblemType problem(Case golden) {
    return ProblemType.parse(golden.setting("problem_type").asText());
  }

  private static SequenceTask rows(Case golden) {
    String type = golden.setting("loss_type").asText();
    return switch (golden.task()) {
      case "seq_cls" ->
          new SequenceTask.Classification(problem(golden), golden.setting("num_labels").asInt());
      case "embedding" ->
          new SequenceTask.Embedding(
              type,
              type.equals("infonce")
                  ? PairLabel.NONE
                  : type.equals("cosine_similarity") ? PairLabel.NUMBER : PairLabel.BINARY,
              hardNegatives(golden),
              false);
      default -> new SequenceTask.Reranking(golden.setting("max_positive_samples").asInt(1), 7);
    };
  }

  private DataPipeline data(Case golden, HfTokenizer tokenizer) throws IOException {
    Path file = folder.resolve("rows.jsonl");
    List<String> lines = new ArrayList<>();
    golden.expected().get("rows").forEach(row -> lines.add(row.toString()));
    Files.write(file, lines);
    DataSettings settings =
        new DataSettings(
            false,
            List.of(file.toString()),
            List.of(),
            0,
            42,
            false,
            false,
            null,
            null,
            Truncation.DELETE,
            LossScale.parse("default"),
            true,
            new Reading(
                ColumnNames.DEFAULT,
                null,
                null,
                false,
                Tokens.LAZY,
                null,
                false,
                Map.of(),
                rows(golden)));
    return DataPipeline.open(
        settings,
        tokenizer,
        ChatTemplates.choose(
            TemplateOptions.DEFAULT.withTemplate("chatml"),
            tokenizer,
            "qwen3",
            ZonedDateTime.now()));
  }

  /** The rows in micro-batches of the first's size; the last may be smaller. */
  private static List<MicroBatch> batches(Case golden, DataPipeline data, HfTokenizer tokenizer) {
    BatchSource.Settings layout =
        new BatchSource.Settings(golden.packed(), tokenizer.padId().orElse(0), 0, 1);
    int size = golden.expected().get("batches").get(0).asInt();
    List<MicroBatch> batches = new ArrayList<>();
    List<int[]> sequences = new ArrayList<>();
    try (BatchSource source =
        BatchSource.evaluation(data.training(), size, 0, 1, layout, data.training().size())) {
      while (source.hasNext()) {
        MicroBatch batch = source.next();
        batches.add(batch);
        for (int s = 0; s < batch.sequences(); s++) {
          int end = batch.targets().lastTokens()[s] + 1;
          sequences.add(
              java.util.Arrays.copyOfRange(batch.tokens(), batch.sequenceStarts()[s], end));
        }
      }
    }
    JsonNode ids = golden.expected().get("ids");
    assertThat(sequences).hasSize(ids.size());
    for (int s = 0; s < sequences.size(); s++) {
      assertThat(sequences.get(s)).isEqualTo(Golden.ints(ids.get(s)));
    }
    assertThat(batches).hasSize(golden.expected().get("batches").size());
    return batches;
  }

  private static void checkGradients(
      JsonNode expected, RankContext rank, LoadedModel model, double tolerance, double negligible) {
    int compared = 0;
    for (ParameterLayout layout : ParameterLayout.of(model.config())) {
      Parameter parameter = model.store().parameter(layout.name());
      for (ParameterLayout.Part part : layout.parts()) {
        Tensor rows = parameter.trainedGradient().slice(part.firstRow(), part.rows());
        double norm = Math.sqrt(rank.backend().sumOfSquares(rows));
        double wanted = expected.path(part.hfName()).asDouble(0);
        assertThat(Math.abs(norm - wanted))
            .as("%s: %s, and PyTorch has %s", part.hfName(), norm, wanted)
            .isLessThanOrEqualTo(Math.max(10 * tolerance * wanted, negligible));
        compared += wanted > negligible ? 1 : 0;
      }
    }
    assertThat(compared).isGreaterThan(10);
  }

  private static void assertRelative(
      String what, double actual, double expected, double tolerance) {
    assertThat(Math.abs(actual - expected) / Math.max(Math.abs(expected), 1e-3))
        .as("%s: %s, and PyTorch has %s", what, actual, expected)
        .isLessThanOrEqualTo(tolerance);
  }
}
