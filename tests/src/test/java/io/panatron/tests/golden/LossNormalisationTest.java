package io.panatron.tests.golden;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.panatron.cli.InProcess;
import io.panatron.kernels.Backend;
import io.panatron.kernels.DType;
import io.panatron.kernels.MemoryPool;
import io.panatron.runtime.data.MicroBatch;
import io.panatron.runtime.model.LoadedModel;
import io.panatron.runtime.optim.Optimizer;
import io.panatron.runtime.optim.OptimizerSettings;
import io.panatron.runtime.parallel.RankContext;
import io.panatron.runtime.train.StepResult;
import io.panatron.runtime.train.TrainStep;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Both ways of {@code --calculate_per_token_loss}, where micro-batches have very different numbers
 * of targets, against what {@code golden/loss-normalisation/oracle.py} computed in PyTorch.
 */
class LossNormalisationTest {
  private static final ObjectMapper JSON = new ObjectMapper();

  /**
   * Norms and rotary angles are float32 in transformers' float64 model, which moves the first loss
   * by 1e-9; AdamW's first updates make more of it where a gradient is near zero.
   */
  private static final double EXACT = 2e-6;

  /** As in {@link GoldenTest}. */
  private static final double LOSS_F32 = 1e-5;

  /** As in {@link GoldenTest}. */
  private static final double GRADIENT_NORM_F32 = 1e-4;

  @TempDir Path folder;

  private static JsonNode fixture() throws IOException {
    String name = "/golden/loss-normalisation/cases.json";
    try (InputStream in =
        Objects.requireNonNull(LossNormalisationTest.class.getResourceAsStream(name), name)) {
      return JSON.readTree(in);
    }
  }

  static Stream<Arguments> places() {
    return GoldenCase.all().stream()
        .filter(golden -> golden.fixture().name().equals("qwen3"))
        .flatMap(golden -> Stream.of(true, false).map(flag -> Arguments.of(golden, flag)));
  }

  /** Micro-batches of 0, 1, 40 and 15 targets, the last with weights. */
  @ParameterizedTest
  @MethodSource("places")
  void unevenMicroBatchesWeighAsMegatronDefines(GoldenCase golden, boolean perToken)
      throws IOException {
    boolean exact = golden.dtype() == DType.F64;
    List<MicroBatch> batches = microBatches(fixture());
    Backend backend = golden.openBackend();
    MemoryPool pool = new MemoryPool(backend.device(), (bytes, reserved) -> {});
    try (RankContext rank = RankContext.single(backend, pool);
        LoadedModel model =
            LoadedModel.open(
                rank,
                golden.fixture().model(),
                new LoadedModel.Options(golden.dtype(), true, 512, 42, true))) {
      Optimizer optimizer =
          new Optimizer(
              backend,
              model.run(),
              new OptimizerSettings(OptimizerSettings.Kind.ADAM, 0.1, 1.0, 0.9, 0.95, 1e-8, 0.9),
              model.store());
      TrainStep step = new TrainStep(rank, model.network(), optimizer, perToken, true);
      JsonNode expected = fixture().get("steps").get(String.valueOf(perToken));
      for (int i = 0; i < expected.size(); i++) {
        StepResult result = step.run(i + 1, batches, 1e-3);
        JsonNode numbers = expected.get(i);
        assertThat(result.targetTokens()).isEqualTo(numbers.get("targets").asLong());
        assertRelative("loss", result.loss(), numbers.get("loss"), exact ? EXACT : LOSS_F32);
        assertRelative(
            "grad_norm",
            result.gradientNorm(),
            numbers.get("grad_norm"),
            exact ? EXACT : GRADIENT_NORM_F32);
      }
    }
  }

  /** Rows of 14 to 66 targets; a log row spans two steps, and every row is evaluated too. */
  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void aRunLogsAndEvaluatesWhatPyTorchComputes(boolean perToken) throws IOException {
    JsonNode expected = fixture().get("command").get(String.valueOf(perToken));
    Golden qwen3 = Golden.open("qwen3");
    String rows = qwen3.rows().toString();
    List<String> words = new ArrayList<>();
    words.addAll(List.of("sft", "--model", qwen3.model().toString(), "--dataset", rows));
    words.addAll(List.of("--val_dataset", rows, "--template", "chatml", "--save"));
    words.addAll(List.of(folder.toString(), "--add_version", "false", "--train_iters", "4"));
    words.addAll(List.of("--micro_batch_size", "1", "--global_batch_size", "4"));
    words.addAll(List.of("--dataset_shuffle", "false", "--train_dataloader_shuffle", "false"));
    words.addAll(List.of("--lr", "1e-3", "--lr_decay_style", "constant", "--log_interval", "2"));
    words.addAll(List.of("--eval_interval", "2", "--device", "cpu", "--threads", "2"));
    words.addAll(List.of("--calculate_per_token_loss", String.valueOf(perToken)));
    InProcess.Result result = InProcess.run(words);
    assertThat(result.status()).as(result.err()).isZero();

    List<JsonNode> steps = new ArrayList<>();
    List<JsonNode> evaluations = new ArrayList<>();
    for (String line : Files.readAllLines(folder.resolve("logging.jsonl"))) {
      JsonNode row = JSON.readTree(line);
      (row.has("eval_loss") ? evaluations : steps).add(row);
    }
    assertThat(steps).hasSameSizeAs(expected.get("log"));
    assertThat(evaluations).hasSameSizeAs(expected.get("evaluations"));
    for (int i = 0; i < steps.size(); i++) {
      JsonNode numbers = expected.get("log").get(i);
      assertThat(steps.get(i).get("iteration").asText())
          .isEqualTo(numbers.get("iteration").asText() + "/4");
      assertRelative("loss", steps.get(i).get("loss").asDouble(), numbers.get("loss"), LOSS_F32);
      assertRelative(
          "grad_norm",
          steps.get(i).get("grad_norm").asDouble(),
          numbers.get("grad_norm"),
          GRADIENT_NORM_F32);
    }
    for (int i = 0; i < evaluations.size(); i++) {
      assertRelative(
          "eval_loss",
          evaluations.get(i).get("eval_loss").asDouble(),
          expected.get("evaluations").get(i).get("eval_loss"),
          LOSS_F32);
    }
  }

  private static void assertRelative(
      String what, double actual, JsonNode expected, double tolerance) {
    double value = expected.asDouble();
    assertThat(actual).as(what).isCloseTo(value, within(tolerance * Math.abs(value)));
  }

  private static List<MicroBatch> microBatches(JsonNode fixture) {
    List<MicroBatch> batches = new ArrayList<>();
    for (int i = 0; i < fixture.get("tokens").size(); i++) {
      batches.add(microBatch(fixture.get("tokens").get(i), fixture.get("weights").get(i)));
    }
    return batches;
  }

  /** Sequences one after the other; the fixture's weights sit on the target itself. */
  private static MicroBatch microBatch(JsonNode sequences, JsonNode weights) {
    int[] starts = new int[sequences.size() + 1];
    for (int s = 0; s < sequences.size(); s++) {
      starts[s + 1] = starts[s] + sequences.get(s).size();
    }
    int total = starts[sequences.size()];
    int[] tokens = new int[total];
    int[] positions = new int[total];
    int[] labels = new int[total];
    float[] lossWeights = new float[total];
    int targets = 0;
    for (int s = 0; s < sequences.size(); s++) {
      int length = sequences.get(s).size();
      for (int i = 0; i < length; i++) {
        int t = starts[s] + i;
        tokens[t] = sequences.get(s).get(i).asInt();
        positions[t] = i;
        double weight = i + 1 < length ? weights.get(s).get(i + 1).asDouble() : 0;
        lossWeights[t] = (float) weight;
        labels[t] = weight == 0 ? MicroBatch.NO_LABEL : sequences.get(s).get(i + 1).asInt();
        targets += weight == 0 ? 0 : 1;
      }
    }
    return new MicroBatch(
        tokens, positions, labels, lossWeights, starts, targets, new int[sequences.size()]);
  }
}
