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
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A step whose loss or gradient is not a number ends the run before it changes a parameter. */
class NonFiniteTest {
  @TempDir Path folder;

  @ParameterizedTest
  @CsvSource({
    "model.norm.weight, NaN",
    "model.norm.weight, Infinity",
    "model.embed_tokens.weight, NaN",
    "model.layers.1.mlp.down_proj.weight, -Infinity"
  })
  void aWeightThatIsNotFiniteEndsTheFirstIteration(String tensor, float value) throws IOException {
    Path model = Fixture.copyModel(folder.resolve("model"));
    Path weights = model.resolve("model.safetensors");
    // Row 0 of the embeddings belongs to no token of the data, so all of them are set.
    int elements = tensor.contains("embed") ? 384 * 64 : 1;
    for (int element = 0; element < elements; element += 64) {
      WeightFile.setFloat(weights, tensor, element, value);
    }

    InProcess.Result result = TrainingCall.into(folder.resolve("out")).with("model", model).run();

    assertOneSentence(result, "iteration 1, rank 0", "loss of token", "micro-batch 0");
    assertThat(folder.resolve("out/checkpoint-1")).doesNotExist();
  }

  @Test
  void aRateThatOverflowsEndsTheRunAndLeavesTheLastCheckpoint() {
    TrainingCall good = TrainingCall.into(folder.resolve("good")).with("train_iters", 3);
    assertThat(good.run().status()).isZero();
    // Resumed at iteration 3, the rate blows the parameters up, and iteration 5 sees it.
    TrainingCall wild =
        good.with("save", folder.resolve("wild"))
            .with("load", good.save())
            .with("train_iters", 8)
            .with("lr", "1e30");

    InProcess.Result result = wild.run();

    assertOneSentence(result, "iteration 5, rank 0", "lower --lr");
    assertThat(RunFiles.log(wild.save()).keySet()).containsExactly(4);
    assertThat(Fixture.files(wild.save()))
        .noneMatch(file -> file.getFileName().toString().matches("\\.?checkpoint-\\d+.*"));
    // What it came from is as good as before.
    TrainingCall again = good.with("save", folder.resolve("again")).with("load", good.save());
    assertThat(again.run().out()).contains("Nothing to train: iteration 3 is the last");
  }

  /** The first scale is far too large for F16, and the second overflow halves it. */
  @Test
  void anOverflowOfFloat16SkipsTheStepAndShowsInTheLog() throws IOException {
    TrainingCall call =
        TrainingCall.into(folder.resolve("out"))
            .with("torch_dtype", "float16")
            .with("initial_loss_scale", 1 << 14)
            .with("log_interval", 1);
    InProcess.Result result = call.run();
    assertThat(result.status()).as(result.err()).isZero();

    List<JsonNode> rows = new ArrayList<>();
    for (String line : Files.readAllLines(call.save().resolve("logging.jsonl"))) {
      rows.add(new ObjectMapper().readTree(line));
    }
    assertThat(rows).hasSize(8);
    double scale = 1 << 14;
    double rate = 0;
    int skipped = 0;
    for (JsonNode row : rows) {
      boolean skips = row.get("skipped_iterations").asInt() == 1;
      assertThat(row.has("grad_norm")).as("%s", row).isEqualTo(!skips);
      assertThat(row.get("loss").asDouble()).isPositive();
      // The schedule stands still; its first update is at iteration 1.
      double nextRate = row.get("learning_rate").asDouble();
      assertThat(nextRate == rate).as("%s", row).isEqualTo(skips);
      rate = nextRate;
      skipped += skips ? 1 : 0;
      scale = skips && skipped > 1 ? scale / 2 : scale;
      assertThat(row.get("loss_scale").asDouble()).as("%s", row).isEqualTo(scale);
    }
    assertThat(skipped).isBetween(2, 5);
  }

  @Test
  void float16WeightsThatAreNotFiniteEndTheRunAtTheLeastScale() throws IOException {
    Path model = Fixture.copyModel(folder.resolve("model"));
    WeightFile.setFloat(model.resolve("model.safetensors"), "model.norm.weight", 0, Float.NaN);
    TrainingCall call =
        TrainingCall.into(folder.resolve("out"))
            .with("model", model)
            .with("torch_dtype", "float16")
            .with("initial_loss_scale", 1)
            .with("train_iters", 40);

    InProcess.Result result = call.run();

    assertOneSentence(result, "iteration 20, rank 0", "loss scale is at its least, 1.0");
    List<String> rows = Files.readAllLines(call.save().resolve("logging.jsonl"));
    assertThat(rows)
        .hasSize(19)
        .allMatch(row -> row.contains("\"skipped_iterations\":1") && !row.contains("\"loss\":"));
  }

  private static void assertOneSentence(InProcess.Result result, String... phrases) {
    assertThat(result.status()).as(result.err()).isEqualTo(2);
    assertThat(result.err().lines()).as(result.err()).hasSize(1);
    assertThat(result.err()).contains(phrases).contains("before it changed a parameter");
  }
}
