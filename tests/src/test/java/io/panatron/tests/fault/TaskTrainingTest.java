package io.panatron.tests.fault;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.panatron.cli.InProcess;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Whole runs of every task: they learn what synthetic rows teach, go on as if nothing was, and
 * leave what they need to go on.
 */
class TaskTrainingTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String[] SUBJECTS = {"The lantern", "The ferry", "The harbour", "A list"};

  /** Times and what follows from them. */
  private static final Pattern NOT_REPEATED =
      Pattern.compile("time|memory|speed|second|throughput");

  @TempDir Path folder;

  /** A task with its options, rows, and what it must reach on them. */
  private enum Task {
    SINGLE_LABEL(
        call -> call.with("task_type", "seq_cls").with("num_labels", 4),
        i -> "%s, \"label\": %d}".formatted(asked(SUBJECTS[i % 4] + " " + i), i % 4),
        "eval_acc",
        1),
    MULTI_LABEL(
        call ->
            call.with("task_type", "seq_cls")
                .with("num_labels", 2)
                .with("problem_type", "multi_label_classification"),
        i ->
            "%s, \"label\": %s}"
                .formatted(
                    asked(SUBJECTS[i % 4] + " " + i),
                    List.of("[]", "[0]", "[1]", "[0, 1]").get(i % 4)),
        "eval_acc",
        1),
    REGRESSION(
        call -> call.with("task_type", "seq_cls").with("num_labels", 1),
        i -> "%s, \"label\": %s}".formatted(asked(SUBJECTS[i % 4] + " " + i), i % 4 / 2.0 - 1),
        "eval_mse",
        -0.02),
    COSINE_SIMILARITY(
        call -> call.with("task_type", "embedding").with("loss_type", "cosine_similarity"),
        i -> pair(i, i % 2 == 0 ? i : i + 1, ", \"label\": " + (i % 2 == 0 ? 0.9 : -0.5)),
        "eval_spearman_cosine",
        0.8),
    ONLINE_CONTRASTIVE(
        call -> call.with("task_type", "embedding").with("loss_type", "online_contrastive"),
        i -> pair(i, i % 2 == 0 ? i : i + 1, ", \"label\": " + (i % 2 == 0 ? 1 : 0)),
        "eval_pearson_cosine",
        0.8),
    INFONCE(
        call -> call.with("task_type", "embedding").with("loss_type", "infonce"),
        i -> pair(i, i, ", \"negative_messages\": [" + said("user", SUBJECTS[(i + 1) % 4]) + "]"),
        "eval_mean_pos",
        0.8),
    POINTWISE(
        call -> call.with("task_type", "reranker").with("loss_type", "pointwise_reranker"),
        Task::candidates,
        "eval_acc",
        1),
    LISTWISE(
        call -> call.with("task_type", "reranker").with("loss_type", "listwise_reranker"),
        Task::candidates,
        "eval_mrr",
        1),
    GENERATIVE(
        call ->
            call.with("task_type", "generative_reranker")
                .with("loss_type", "pointwise_reranker")
                .with("generative_reranker_positive_token", "The")
                .with("generative_reranker_negative_token", "user"),
        Task::candidates,
        "eval_ndcg",
        1);

    private final UnaryOperator<TrainingCall> options;
    private final java.util.function.IntFunction<String> row;
    private final String measure;
    private final double goal;

    Task(
        UnaryOperator<TrainingCall> options,
        java.util.function.IntFunction<String> row,
        String measure,
        double goal) {
      this.options = options;
      this.row = row;
      this.measure = measure;
      this.goal = goal;
    }

    private static String said(String role, String text) {
      return "[{\"role\": \"%s\", \"content\": \"%s\"}]".formatted(role, text);
    }

    private static String asked(String text) {
      return "{\"messages\": " + said("user", text);
    }

    private static String pair(int anchor, int positive, String rest) {
      return asked(SUBJECTS[anchor % 4] + " " + anchor)
          + ", \"positive_messages\": ["
          + said("user", "about " + SUBJECTS[positive % 4])
          + "]"
          + rest
          + "}";
    }

    private static String candidates(int i) {
      List<String> wrong =
          Stream.of(1, 2, 3).map(k -> said("assistant", "wrong " + SUBJECTS[(i + k) % 4])).toList();
      return asked("about " + SUBJECTS[i % 4])
          + ", \"positive_messages\": ["
          + said("assistant", "right " + i)
          + "], \"negative_messages\": ["
          + String.join(", ", wrong)
          + "]}";
    }
  }

  private TrainingCall call(Task task, String save) {
    List<String> rows = new ArrayList<>();
    for (int i = 0; i < 16; i++) {
      rows.add(task.row.apply(i));
    }
    try {
      Path file = Files.write(folder.resolve("rows.jsonl"), rows);
      return task.options
          .apply(TrainingCall.into(folder.resolve(save)))
          .with("dataset", file)
          .with("val_dataset", file)
          .with("micro_batch_size", 4)
          .with("global_batch_size", 8)
          .with("eval_iters", 2);
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }

  private static InProcess.Result trained(TrainingCall call) {
    InProcess.Result result = call.run();
    assertThat(result.err()).isEmpty();
    assertThat(result.status()).isZero();
    return result;
  }

  private static List<JsonNode> rows(TrainingCall call) throws IOException {
    List<JsonNode> rows = new ArrayList<>();
    for (String line : Files.readAllLines(call.save().resolve("logging.jsonl"))) {
      rows.add(JSON.readTree(line));
    }
    return rows;
  }

  /**
   * What must be the same to the digit: losses, norms, rates and measures, in training and
   * evaluation.
   */
  private static List<String> figures(TrainingCall call, int from) throws IOException {
    List<String> figures = new ArrayList<>();
    for (JsonNode row : rows(call)) {
      int iteration = Integer.parseInt(row.get("iteration").asText().split("/", 2)[0]);
      if (iteration >= from) {
        List<String> kept = new ArrayList<>();
        row.properties().stream()
            .filter(e -> !NOT_REPEATED.matcher(e.getKey()).find())
            .forEach(e -> kept.add(e.getKey() + " " + e.getValue()));
        figures.add(String.join(", ", kept));
      }
    }
    return figures;
  }

  private static List<String> predictions(TrainingCall call, int iteration) throws IOException {
    return Files.readAllLines(call.save().resolve("predictions.jsonl")).stream()
        .filter(line -> line.startsWith("{\"iteration\":" + iteration + ","))
        .toList();
  }

  @ParameterizedTest
  @EnumSource(Task.class)
  void aModelLearnsWhatItsRowsTeach(Task task) throws IOException {
    TrainingCall call =
        call(task, "out").with("train_iters", 60).with("save_interval", 60).with("lr", "3e-3");
    trained(call.with("log_interval", 20));

    JsonNode evaluated = rows(call).getLast();
    assertThat(evaluated.path(task.measure).asDouble(-9))
        .as("%s of %s", task.measure, evaluated)
        .satisfies(value -> {
          double reached = task.goal < 0 ? -value : value;
          assertThat(reached).isGreaterThanOrEqualTo(task.goal);
        });
    assertThat(evaluated.path("eval_sequences").asInt()).isGreaterThanOrEqualTo(16);
  }

  @ParameterizedTest
  @EnumSource(Task.class)
  void aResumedRunEqualsAnUninterruptedOne(Task task) throws IOException {
    TrainingCall whole =
        call(task, "whole")
            .with("save_interval", 4)
            .with("log_interval", 3)
            .with("torch_dtype", task.ordinal() % 2 == 0 ? "bfloat16" : "float32")
            .with("hidden_dropout", 0.1)
            .with("save_predictions", true);
    trained(whole);
    TrainingCall rest =
        whole
            .with("save", folder.resolve("rest"))
            .with("load", whole.save().resolve("checkpoint-4"));
    trained(rest);

    assertThat(figures(rest, 0)).isEqualTo(figures(whole, 5)).hasSizeGreaterThanOrEqualTo(3);
    assertThat(Files.readAllLines(rest.save().resolve("predictions.jsonl")))
        .isEqualTo(predictions(whole, 8))
        .hasSizeGreaterThanOrEqualTo(16);
    RunFiles.assertSameState(
        rest.save().resolve("checkpoint-8"), whole.save().resolve("checkpoint-8"));
  }

  static Stream<UnaryOperator<TrainingCall>> layouts() {
    return Stream.of(
        call -> call.with("packing", true).with("max_length", 96),
        call -> call.with("streaming", true).with("dataset_shuffle", false),
        call -> call.with("load_from_cache_file", true),
        call -> call.with("lazy_tokenize", true).with("num_workers", 3),
        call ->
            call.with("recompute_granularity", "full")
                .with("recompute_method", "uniform")
                .with("recompute_num_layers", 1));
  }

  @ParameterizedTest
  @MethodSource("layouts")
  void groupsAreDrawnAgainHoweverTheyAreRead(UnaryOperator<TrainingCall> layout)
      throws IOException {
    TrainingCall whole =
        layout.apply(
            call(Task.LISTWISE, "whole")
                .with("max_negative_samples", 2)
                .with("micro_batch_size", 2)
                .with("global_batch_size", 2)
                .with("save_interval", 4)
                .with("check_memory", true));
    trained(whole);
    TrainingCall rest =
        whole
            .with("save", folder.resolve("rest"))
            .with("load", whole.save().resolve("checkpoint-4"));
    trained(rest);

    assertThat(figures(rest, 0)).isEqualTo(figures(whole, 5)).hasSizeGreaterThanOrEqualTo(5);
  }

  @Test
  void anotherTaskCannotGoOnFromACheckpoint() {
    TrainingCall whole = call(Task.LISTWISE, "whole").with("save_interval", 4);
    trained(whole);

    InProcess.Result result =
        call(Task.REGRESSION, "rest").with("load", whole.save().resolve("checkpoint-4")).run();

    assertThat(result.status()).isEqualTo(2);
    assertThat(result.err()).contains("--task_type").hasLineCount(1);
  }

  @Test
  void argumentsAndConfigurationSayWhatTheModelIs() throws IOException {
    TrainingCall call = call(Task.SINGLE_LABEL, "out");
    trained(call);
    Path checkpoint = call.save().resolve("checkpoint-8");

    JsonNode arguments = JSON.readTree(checkpoint.resolve("args.json").toFile());
    assertThat(arguments.get("task_type").asText()).isEqualTo("seq_cls");
    assertThat(arguments.get("num_labels").asInt()).isEqualTo(4);
    assertThat(arguments.get("problem_type").asText()).isEqualTo("single_label_classification");
    assertThat(arguments.get("calculate_per_token_loss").asBoolean()).isFalse();
    JsonNode config = JSON.readTree(checkpoint.resolve("config.json").toFile());
    assertThat(config.get("architectures").get(0).asText())
        .isEqualTo("Qwen3ForSequenceClassification");
    assertThat(config.get("id2label")).hasSize(4);
    assertThat(config.get("problem_type").asText()).isEqualTo("single_label_classification");

    TrainingCall again =
        call.with("model", checkpoint).with("save", folder.resolve("again")).without("num_labels");
    trained(again.with("train_iters", 1).with("lr_warmup_iters", 0));
    InProcess.Result generated =
        InProcess.run(List.of("generate", "--model", checkpoint.toString(), "--prompt", "a"));
    assertThat(generated.status()).isEqualTo(2);
    assertThat(generated.err()).contains("sequence classifier").hasLineCount(1);
  }

  @Test
  void trainingRowsShowTheAccuracyOfTheirWindow() throws IOException {
    TrainingCall call = call(Task.POINTWISE, "out").with("log_interval", 4);
    trained(call);

    List<JsonNode> shown = rows(call).stream().filter(row -> row.has("loss")).toList();
    assertThat(shown).hasSize(3);
    assertThat(shown).allSatisfy(row -> assertThat(row.get("acc").asDouble()).isBetween(0.0, 1.0));
  }
}
