package io.panatron.tests.observe;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.panatron.cli.InProcess;
import io.panatron.runtime.observe.tensorboard.EventFolder;
import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code --enable_channel_loss} of whole runs; what the numbers are is LossesGoldenTest's. */
class ChannelLossTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final List<String> CHANNELS = List.of("loss_None", "loss_chat", "loss_tools");

  @TempDir Path folder;

  private InProcess.Result run(String name, Map<String, String> options) {
    List<String> words = new ArrayList<>(List.of("sft"));
    Map<String, String> all = new LinkedHashMap<>();
    all.put("save", folder.resolve(name).toString());
    all.put("model", resource("qwen3/model").toString());
    all.put("dataset", resource("losses/rows.jsonl").toString());
    all.put("template", "chatml");
    all.put("add_version", "false");
    all.put("train_iters", "6");
    all.put("micro_batch_size", "1");
    all.put("global_batch_size", "4");
    all.put("log_interval", "3");
    all.put("device", "cpu");
    all.put("threads", "2");
    all.put("lr", "1e-3");
    all.put("enable_channel_loss", "true");
    all.putAll(options);
    all.forEach((key, value) -> words.addAll(List.of("--" + key, value)));
    return InProcess.run(words);
  }

  private void train(String name, Map<String, String> options) {
    InProcess.Result result = run(name, options);
    assertThat(result.status()).as(result.err()).isZero();
  }

  private static Path resource(String name) {
    try {
      return Path.of(
          Objects.requireNonNull(ChannelLossTest.class.getResource("/golden/" + name)).toURI());
    } catch (URISyntaxException e) {
      throw new IllegalStateException(e);
    }
  }

  private List<JsonNode> rows(String name) throws IOException {
    List<JsonNode> rows = new ArrayList<>();
    for (String line : Files.readAllLines(folder.resolve(name).resolve("logging.jsonl"))) {
      rows.add(JSON.readTree(line));
    }
    return rows;
  }

  @Test
  void trainingAndEvaluationRowsHaveTheLossOfEachChannel() throws IOException {
    train(
        "run",
        Map.of(
            "val_dataset", resource("losses/rows.jsonl").toString(),
            "eval_interval", "3",
            "log_interval", "1"));
    List<JsonNode> rows = rows("run");
    int evaluations = 0;
    for (JsonNode row : rows) {
      String prefix = row.has("eval_loss") ? "eval_" : "";
      evaluations += row.has("eval_loss") ? 1 : 0;
      double lowest = Double.POSITIVE_INFINITY;
      double highest = 0;
      for (String channel : CHANNELS) {
        double loss = row.required(prefix + channel).asDouble();
        lowest = Math.min(lowest, loss);
        highest = Math.max(highest, loss);
      }
      assertThat(row.required(prefix + "loss").asDouble()).isBetween(lowest, highest);
    }
    assertThat(evaluations).isEqualTo(2);
    NavigableMap<String, NavigableMap<Long, Float>> board =
        EventFolder.read(folder.resolve("run/runs")).scalars();
    assertThat(board.keySet()).contains("eval/loss_None", "eval/loss_chat", "eval/loss_tools");
    assertThat(board.get("train/loss_tools").get(1L))
        .isEqualTo((float) rows.getFirst().required("loss_tools").asDouble());
  }

  @Test
  void noNameOfAChannelHidesAnotherNumber() throws IOException {
    Path data =
        Files.writeString(
            folder.resolve("rows.jsonl"),
            """
            {"query": "a", "response": "b", "channel": "scale"}
            {"query": "a", "response": "b c", "channel": ""}
            {"query": "a", "response": "d", "channel": "channel_scale"}
            {"query": "a", "response": "e", "channel": "tools"}
            """);
    train(
        "half",
        Map.of(
            "dataset", data.toString(),
            "train_iters", "1",
            "torch_dtype", "float16",
            "initial_loss_scale", "1024"));
    JsonNode row = rows("half").getFirst();
    assertThat(row.required("loss_scale").asDouble()).isEqualTo(1024);
    assertThat(row.required("loss_channel_scale").asDouble()).isPositive().isLessThan(100);
    assertThat(row.required("loss_channel_channel_scale").asDouble()).isPositive();
    assertThat(row.required("loss_None").asDouble()).isPositive();
    assertThat(row.has("loss_")).isFalse();
    assertThat(EventFolder.read(folder.resolve("half/runs")).scalars().keySet())
        .contains("train/loss_channel_scale");
  }

  @Test
  void packsAndCachedTokensKeepTheirChannels() throws IOException {
    train("rows", Map.of("train_iters", "1"));
    Map<String, String> packed = new LinkedHashMap<>();
    packed.put("train_iters", "1");
    packed.put("global_batch_size", "1");
    packed.put("packing", "true");
    packed.put("max_length", "500");
    packed.put("token_cache", folder.resolve("tokens").toString());
    packed.put("load_from_cache_file", "true");
    train("made", packed);
    train("reused", packed);
    JsonNode expected = rows("rows").getFirst();
    for (String run : List.of("made", "reused")) {
      for (String channel : CHANNELS) {
        assertThat(rows(run).getFirst().required(channel).asDouble())
            .as(channel + " of run " + run)
            // Another order of the same sums in float32.
            .isCloseTo(expected.required(channel).asDouble(), within(1e-5));
      }
    }
    packed.put("enable_channel_loss", "false");
    train("without", packed);
    assertThat(rows("without").getFirst().has("loss_tools")).isFalse();
  }

  @Test
  void aResumedRunContinuesTheWindowOfEachChannel() throws IOException {
    // Iteration 4 lies within the window of iterations 4 to 6.
    train("whole", Map.of("save_interval", "4", "enable_dft_loss", "true"));
    train(
        "rest",
        Map.of("load", folder.resolve("whole/checkpoint-4").toString(), "enable_dft_loss", "true"));
    JsonNode expected = rows("whole").getLast();
    JsonNode row = rows("rest").getLast();
    assertThat(row.required("iteration").asText()).isEqualTo("6/6");
    for (String channel : CHANNELS) {
      assertThat(row.required(channel)).as(channel).isEqualTo(expected.required(channel));
    }
    assertThat(row.required("loss")).isEqualTo(expected.required("loss"));
  }

  @Test
  void tokensMadeWithoutChannelsAreRefused() throws IOException {
    Map<String, String> cache = new LinkedHashMap<>();
    cache.put("enable_channel_loss", "false");
    cache.put("train_iters", "1");
    cache.put("token_cache", folder.resolve("tokens").toString());
    cache.put("load_from_cache_file", "true");
    train("made", cache);
    Map<String, String> cached = new LinkedHashMap<>();
    cached.put("dataset", "None");
    cached.put("cached_dataset", folder.resolve("tokens").toString());
    InProcess.Result result = run("refused", cached);
    assertThat(result.status()).isNotZero();
    assertThat(result.err()).contains("were made without --enable_channel_loss true");
    assertThat(folder.resolve("refused")).doesNotExist();
  }
}
