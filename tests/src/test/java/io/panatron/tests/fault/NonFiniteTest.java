package io.panatron.tests.fault;

import static org.assertj.core.api.Assertions.assertThat;

import io.panatron.cli.InProcess;
import java.io.IOException;
import java.nio.file.Path;
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

  private static void assertOneSentence(InProcess.Result result, String... phrases) {
    assertThat(result.status()).as(result.err()).isEqualTo(2);
    assertThat(result.err().lines()).as(result.err()).hasSize(1);
    assertThat(result.err()).contains(phrases).contains("before it changed a parameter");
  }
}
