package io.panatron.tests.observe;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.panatron.cli.InProcess;
import io.panatron.runtime.observe.tensorboard.EventFolder;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class WatchingTest {
  private static final List<String> TRAINING =
      List.of(
          "train/loss",
          "train/grad_norm",
          "train/learning_rate",
          "train/tokens_per_second",
          "train/train_speed(s_it)");
  private static final List<String> MEMORY =
      List.of(
          "train/memory(GiB)",
          "mem-reserved-bytes",
          "mem-allocated-bytes",
          "mem-max-allocated-bytes");
  private static final List<String> TIMERS =
      List.of(
          "iteration-time",
          "batch-generator-time",
          "forward-compute-time",
          "backward-compute-time",
          "optimizer-time");

  @TempDir Path folder;

  private Path save() {
    return folder.resolve("run");
  }

  private NavigableMap<String, NavigableMap<Long, Float>> scalars() throws IOException {
    return EventFolder.read(save().resolve("runs")).scalars();
  }

  @Test
  void aRunLeavesEventsPlotsFactsAndAReport() throws IOException {
    String out =
        ShortRun.train(
            save(), "--split_dataset_ratio", "0.2", "--eval_iters", "1", "--eval_interval", "4");

    NavigableMap<String, NavigableMap<Long, Float>> scalars = scalars();
    assertThat(scalars.keySet())
        .containsAll(TRAINING)
        .containsAll(MEMORY)
        .containsAll(TIMERS)
        .contains("eval/loss", "eval/ppl")
        .hasSize(TRAINING.size() + MEMORY.size() + TIMERS.size() + 2);
    Map<Long, Float> logged = new TreeMap<>();
    ShortRun.log(save())
        .forEach((iteration, row) -> logged.put(iteration, (float) row.path("loss").asDouble()));
    assertThat(scalars.get("train/loss")).isEqualTo(logged).hasSize(8);
    assertThat(scalars.get("eval/loss").keySet()).containsExactly(4L, 8L);
    assertThat(scalars.get("eval/ppl").get(8L))
        .isCloseTo((float) Math.exp(scalars.get("eval/loss").get(8L)), within(0.1f));
    assertThat(ShortRun.names(save().resolve("images")))
        .contains("train_loss.png", "eval_loss.png", "mem-reserved-bytes.png")
        .hasSize(scalars.size());
    assertThat(out).contains("Report            " + save().resolve("report.html"));
    assertThat(save().resolve("report.html")).content().contains("\"status\":\"finished\"");
    JsonNode facts = new ObjectMapper().readTree(save().resolve("run.json").toFile());
    assertThat(facts.at("/seen/sequences").asInt()).isEqualTo(8 * 4);
    assertThat(facts.at("/data/training_samples").asInt()).isEqualTo(13);
    assertThat(facts.path("command").get(0).asText()).isEqualTo("sft");
  }

  @Test
  void whatIsTurnedOffIsNotWritten() throws IOException {
    Path board = folder.resolve("elsewhere");
    ShortRun.train(
        save(),
        "--tensorboard_dir",
        board.toString(),
        "--tensorboard_log_interval",
        "3",
        "--log_timers_to_tensorboard",
        "false",
        "--no_log_learning_rate_to_tensorboard",
        "true",
        "--log_memory_to_tensorboard",
        "false");

    NavigableMap<String, NavigableMap<Long, Float>> scalars = EventFolder.read(board).scalars();
    assertThat(scalars.keySet())
        .containsExactlyInAnyOrderElementsOf(
            TRAINING.stream().filter(tag -> !tag.equals("train/learning_rate")).toList());
    assertThat(scalars.get("train/loss").keySet()).containsExactly(3L, 6L);
    assertThat(save().resolve("runs")).doesNotExist();
  }

  @Test
  void aRunResumedInItsFolderHasEachStepOnce() throws IOException {
    ShortRun.train(save(), "--save_interval", "4");
    NavigableMap<Long, Float> before = scalars().get("train/loss");
    ShortRun.train(
        save(), "--save_interval", "4", "--load", save().resolve("checkpoint-4").toString());

    assertThat(ShortRun.names(save().resolve("runs"))).hasSize(2);
    assertThat(scalars().get("train/loss")).isEqualTo(before).hasSize(8);
    assertThat(scalars().get("iteration-time").keySet())
        .containsExactly(1L, 2L, 3L, 4L, 5L, 6L, 7L, 8L);
    InProcess.Result report =
        InProcess.run(
            List.of("report", save().toString(), "--out", folder.resolve("r.html").toString()));
    assertThat(report.status()).as(report.err()).isZero();
    assertThat(report.out()).contains("Wrote " + folder.resolve("r.html"));
    assertThat(folder.resolve("r.html")).content().contains("\"progress\":\"8/8\"");
  }

  @Test
  void theParameterNormIsThatOfTheSavedWeights() throws IOException {
    ShortRun.train(save(), "--log_params_norm", "true", "--log_throughput", "true");

    JsonNode last = ShortRun.log(save()).get(8L);
    double saved = normOf(save().resolve("checkpoint-8/model.safetensors"));
    assertThat(last.path("params_norm").asDouble()).isCloseTo(saved, within(1e-5 * saved));
    assertThat(last.path("throughput").asDouble()).isPositive();
    assertThat(last.has("mfu")).as("nobody states a processor's peak").isFalse();
    assertThat(scalars().get("train/params_norm").get(8L))
        .isEqualTo((float) last.path("params_norm").asDouble());
  }

  @Test
  void aFolderThatCannotTakeEventsIsSaidOnceAndTheRunGoesOn() throws IOException {
    Path blocked = folder.resolve("blocked");
    Files.writeString(blocked, "in the way");

    String out = ShortRun.train(save(), "--tensorboard_dir", blocked.toString());

    assertThat(out).containsOnlyOnce("TensorBoard files are no longer written to " + blocked);
    assertThat(ShortRun.log(save())).hasSize(8);
    assertThat(save().resolve("report.html")).exists();
  }

  @Test
  void aReportOfNoRunIsAnsweredInASentence() {
    InProcess.Result result = InProcess.run(List.of("report", folder.toString()));

    assertThat(result.status()).isEqualTo(2);
    assertThat(result.err()).contains(folder + " is no run folder: it has no logging.jsonl");
  }

  /** The fixture's weights are float32, and no tensor stands there twice. */
  private static double normOf(Path safetensors) throws IOException {
    ByteBuffer bytes =
        ByteBuffer.wrap(Files.readAllBytes(safetensors)).order(ByteOrder.LITTLE_ENDIAN);
    bytes.position((int) (Long.BYTES + bytes.getLong(0)));
    double squares = 0;
    while (bytes.hasRemaining()) {
      double value = bytes.getFloat();
      squares += value * value;
    }
    return Math.sqrt(squares);
  }
}
