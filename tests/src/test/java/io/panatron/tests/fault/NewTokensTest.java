package io.panatron.tests.fault;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.panatron.cli.InProcess;
import io.panatron.runtime.checkpoint.ModelWeights;
import io.panatron.runtime.checkpoint.SafetensorsTensor;
import io.panatron.runtime.data.HfTokenizer;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * {@code --new_special_tokens}: the fixture's tokenizer knows 376 tokens, its model has 384 rows.
 */
class NewTokensTest {
  private static final String EMBEDDING = "model.embed_tokens.weight";
  private static final String HEAD = "lm_head.weight";
  private static final int TOKENS = 376;
  private static final int ROWS = 384;
  private static final int GROWN = 512;

  @TempDir Path folder;
  private Path tokens;

  /** Nine tokens, one more than there are rows for, of which the rows to train hold some. */
  @BeforeEach
  void writeTokens() throws IOException {
    tokens =
        Files.writeString(
            folder.resolve("tokens.txt"),
            """
            <tool>
            </tool>
            <3>
            <4>
            <5>
            <6>
            <7>
            <8>
            <9>
            """);
    Files.writeString(
        folder.resolve("rows.jsonl"),
        """
        {"query": "call", "response": "<tool>add</tool>"}
        {"query": "<3>", "response": "<9><8>"}
        """);
  }

  private TrainingCall into(String name) {
    return TrainingCall.into(folder.resolve(name))
        .with("dataset", folder.resolve("rows.jsonl"))
        .with("new_special_tokens", tokens);
  }

  private static Path checkpoint(TrainingCall call, int iteration) {
    return call.save().resolve("checkpoint-" + iteration);
  }

  private static InProcess.Result trained(TrainingCall call) {
    InProcess.Result result = call.run();
    assertThat(result.status()).as(result.err()).isZero();
    return result;
  }

  private static float[][] matrix(Path model, String name) {
    try (Arena arena = Arena.ofConfined()) {
      SafetensorsTensor tensor =
          Objects.requireNonNull(ModelWeights.open(model, arena).tensor(name), name);
      int columns = (int) tensor.shape()[1];
      float[] flat =
          tensor
              .data()
              .toArray(ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN));
      float[][] rows = new float[(int) tensor.shape()[0]][columns];
      for (int r = 0; r < rows.length; r++) {
        System.arraycopy(flat, r * columns, rows[r], 0, columns);
      }
      return rows;
    }
  }

  @Test
  void theSavedModelHasTheTokensAndRowsDrawnAsItsConfigurationSays() throws IOException {
    // A rate of 0 keeps the rows as they were drawn.
    TrainingCall call = into("run").with("lr", 0).with("min_lr", 0);
    InProcess.Result result = trained(call);

    assertThat(result.out()).contains("9 (ids 376 to 384); embeddings grow from 384 to 512 rows");
    Path model = checkpoint(call, 8);
    JsonNode config = new ObjectMapper().readTree(model.resolve("config.json").toFile());
    assertThat(config.get("vocab_size").asInt()).isEqualTo(GROWN);
    try (HfTokenizer tokenizer = HfTokenizer.open(model)) {
      assertThat(tokenizer.vocabularySize()).isEqualTo(TOKENS + 9);
      assertThat(tokenizer.encode("<tool></tool><9>"))
          .containsExactly(TOKENS, TOKENS + 1, TOKENS + 8);
    }
    for (String name : List.of(EMBEDDING, HEAD)) {
      float[][] before = matrix(Fixture.model(), name);
      float[][] after = matrix(model, name);
      assertThat(after).hasNumberOfRows(GROWN);
      for (int row = 0; row < ROWS; row++) {
        assertThat(after[row]).as("row %s of %s", row, name).isEqualTo(before[row]);
      }
      double squares = 0;
      for (int row = ROWS; row < GROWN; row++) {
        for (float value : after[row]) {
          squares += (double) value * value;
        }
      }
      int drawn = (GROWN - ROWS) * after[0].length;
      // initializer_range 0.02; the deviation of 8,192 numbers strays by less than four hundredths.
      assertThat(Math.sqrt(squares / drawn)).as(name).isCloseTo(0.02, within(0.0008));
    }
    assertThat(matrix(model, EMBEDDING)[ROWS]).isNotEqualTo(matrix(model, HEAD)[ROWS]);
    assertThat(call.save().resolve("args.json")).content().contains("<tool>").contains("<9>");
  }

  @Test
  void aSizeOfTheVocabularyWithoutRoomForThemIsRefused() {
    InProcess.Result result = into("run").with("padded_vocab_size", ROWS).run();
    assertThat(result.status()).isNotZero();
    assertThat(result.err())
        .contains(
            "--padded_vocab_size 384 has no room for --new_special_tokens, with which the tokenizer"
                + " knows 385 tokens; leave it out, so that the vocabulary grows to 512, or give at"
                + " least 385");
    assertThat(folder.resolve("run")).doesNotExist();
  }

  @Test
  void tiedEmbeddingsGrowOnce() throws Exception {
    Path tied =
        Path.of(
            Objects.requireNonNull(NewTokensTest.class.getResource("/golden/qwen2/model")).toURI());
    TrainingCall call = into("run").with("model", tied);
    assertThat(trained(call).out()).contains("embeddings grow from 360 to 384 rows");
    assertThat(matrix(checkpoint(call, 8), EMBEDDING)).hasNumberOfRows(384);
    try (Arena arena = Arena.ofConfined()) {
      assertThat(ModelWeights.open(checkpoint(call, 8), arena).tensors()).doesNotContainKey(HEAD);
    }
    TrainingCall again = into("again").with("model", checkpoint(call, 8));
    assertThat(trained(again).out()).doesNotContain("New tokens");
  }

  @Test
  void aResumedRunEqualsAnUninterruptedOneWithTheTokensNamedOrNot() {
    TrainingCall whole = into("whole").with("save_interval", 4);
    trained(whole);
    TrainingCall named =
        whole.with("save", folder.resolve("named")).with("load", checkpoint(whole, 4));
    TrainingCall unnamed =
        named.with("save", folder.resolve("unnamed")).without("new_special_tokens");
    for (TrainingCall rest : List.of(named, unnamed)) {
      assertThat(trained(rest).out()).contains("at iteration 4").doesNotContain("New tokens");
      assertThat(RunFiles.log(rest.save())).isEqualTo(RunFiles.logFrom(whole.save(), 5));
      RunFiles.assertSameState(checkpoint(rest, 8), checkpoint(whole, 8));
    }
    TrainingCall same = into("same").with("save_interval", 4);
    trained(same);
    RunFiles.assertSameState(checkpoint(same, 8), checkpoint(whole, 8));
  }

  @Test
  void tokensThatACheckpointLacksNeedAFreshOptimizer() {
    TrainingCall first =
        into("first").without("new_special_tokens").with("torch_dtype", "bfloat16");
    trained(first);
    TrainingCall second =
        into("second").with("torch_dtype", "bfloat16").with("load", checkpoint(first, 8));

    InProcess.Result refused = second.run();
    assertThat(refused.status()).isEqualTo(2);
    assertThat(refused.err().lines()).hasSize(1);
    assertThat(refused.err()).contains("--new_special_tokens adds <tool>", "--finetune true");
    assertThat(Fixture.files(second.save())).isEmpty();

    TrainingCall tuned = second.with("finetune", true);
    assertThat(trained(tuned).out()).contains("starting at iteration 0", "to 512 rows");
    assertThat(RunFiles.log(tuned.save())).hasSize(8);
  }

  @Test
  void rowsThatTheModelLeftAtZeroAreDrawnAndOthersKept() throws IOException {
    Path model = Fixture.copyModel(folder.resolve("zeros"));
    int columns = matrix(model, EMBEDDING)[0].length;
    for (int column : IntStream.range(0, columns).toArray()) {
      for (int row : List.of(TOKENS, TOKENS + 5)) {
        WeightFile.setFloat(
            model.resolve("model.safetensors"), EMBEDDING, row * columns + column, 0);
      }
    }
    TrainingCall call =
        into("run")
            .with("model", model)
            .with("lr", 0)
            .with("min_lr", 0)
            .with("new_special_tokens", "<tool>")
            .with("train_iters", 3)
            .with("save_interval", 3);
    assertThat(trained(call).out()).contains("1 (ids 376 to 376); embeddings have room");
    float[][] before = matrix(model, EMBEDDING);
    float[][] after = matrix(checkpoint(call, 3), EMBEDDING);
    assertThat(after).hasNumberOfRows(ROWS);
    for (int row = 0; row < ROWS; row++) {
      if (row == TOKENS) {
        assertThat(after[row]).doesNotContain(0);
      } else {
        assertThat(after[row]).as("row %s", row).isEqualTo(before[row]);
      }
    }
    assertThat(matrix(checkpoint(call, 3), HEAD)).isDeepEqualTo(matrix(model, HEAD));
  }

  @Test
  void aTextThatIsNoTokenIsRefusedBeforeAnythingIsWritten() {
    InProcess.Result result =
        into("run").with("new_special_tokens", folder.resolve("gone.txt")).run();
    assertThat(result.status()).isEqualTo(2);
    assertThat(result.err()).contains("gone.txt cannot be read");
    assertThat(Fixture.files(folder.resolve("run"))).isEmpty();
  }
}
