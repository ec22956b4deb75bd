package io.panatron.tests.golden;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.panatron.cli.InProcess;
import io.panatron.runtime.checkpoint.SafetensorsFile;
import io.panatron.runtime.checkpoint.SafetensorsTensor;
import io.panatron.runtime.model.ModelConfig;
import io.panatron.runtime.model.RopeScaling;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Runs from one model folder to another: what config.json and the weights say in the end. */
class ModelArgumentsTest {
  @TempDir Path folder;

  /** Trains into {@code folder/name} and returns its last checkpoint. */
  private Path train(Golden golden, Path model, String name, int iterations, String... more) {
    Path save = folder.resolve(name);
    List<String> arguments = new ArrayList<>(List.of("sft", "--model", model.toString()));
    arguments.addAll(List.of("--dataset", golden.rows().toString(), "--template", "chatml"));
    arguments.addAll(List.of("--save", save.toString(), "--add_version", "false"));
    arguments.addAll(List.of("--train_iters", Integer.toString(iterations)));
    arguments.addAll(List.of("--lr_decay_iters", "8", "--lr_warmup_iters", "2", "--lr", "1e-3"));
    arguments.addAll(List.of("--micro_batch_size", "1", "--global_batch_size", "2"));
    arguments.addAll(List.of("--device", "cpu", "--threads", "2"));
    arguments.addAll(List.of(more));
    InProcess.Result result = InProcess.run(arguments);
    assertThat(result.err()).isEmpty();
    assertThat(result.status()).isZero();
    return save.resolve("checkpoint-" + iterations);
  }

  private static JsonNode json(Path file) throws IOException {
    return new ObjectMapper().readTree(file.toFile());
  }

  /** The rate of the first update is 0. */
  @Test
  void gpt2WeightsAreSavedAsTheyWereRead() throws IOException {
    Golden golden = Golden.open("gpt2");
    Path saved = train(golden, golden.model(), "same", 1);
    try (Arena arena = Arena.ofConfined()) {
      Map<String, SafetensorsTensor> expected =
          SafetensorsFile.open(golden.model().resolve("model.safetensors"), arena).tensors();
      Map<String, SafetensorsTensor> actual =
          SafetensorsFile.open(saved.resolve("model.safetensors"), arena).tensors();
      assertThat(actual).hasSize(40).hasSameSizeAs(expected);
      expected.forEach((name, tensor) -> {
        assertThat(actual.get(name).shape()).as(name).isEqualTo(tensor.shape());
        assertThat(actual.get(name).data().mismatch(tensor.data())).as(name).isEqualTo(-1);
      });
    }
    assertThat(json(saved.resolve("config.json")))
        .isEqualTo(json(golden.model().resolve("config.json")));
  }

  @Test
  void gpt2WithoutTheBaseModelsPrefixIsTheSame() throws IOException {
    Golden golden = Golden.open("gpt2");
    Path plain = train(golden, golden.model(), "plain", 2);
    Path old = Files.createDirectories(folder.resolve("old"));
    for (String file : List.of("config.json", "tokenizer.json", "tokenizer_config.json")) {
      Files.copy(golden.model().resolve(file), old.resolve(file));
    }
    byte[] weights = Files.readAllBytes(golden.model().resolve("model.safetensors"));
    int header = weights[0] & 0xFF | (weights[1] & 0xFF) << 8 | (weights[2] & 0xFF) << 16;
    String names = new String(weights, 8, header, StandardCharsets.UTF_8);
    // Blanks keep the header's length.
    String renamed = names.replace("\"transformer.", "\"").stripTrailing();
    byte[] padded =
        (renamed + " ".repeat(header - renamed.length())).getBytes(StandardCharsets.UTF_8);
    System.arraycopy(padded, 0, weights, 8, header);
    Files.write(old.resolve("model.safetensors"), weights);
    Path again = train(golden, old, "again", 2);
    assertThat(again.resolve("model.safetensors"))
        .hasSameBinaryContentAs(plain.resolve("model.safetensors"));
  }

  @Test
  void parametersChangeTheModelAndTheConfigJsonThatIsSaved() throws IOException {
    Golden golden = Golden.open("llama3");
    Path model = Files.createDirectories(folder.resolve("model"));
    for (String file : List.of("config.json", "tokenizer.json", "tokenizer_config.json")) {
      Files.copy(golden.model().resolve(file), model.resolve(file));
    }
    Path saved =
        train(
            golden,
            model,
            "changed",
            1,
            "--num_layers",
            "2",
            "--hidden_size",
            "48",
            "--ffn_hidden_size",
            "80",
            "--num_attention_heads",
            "6",
            "--num_query_groups",
            "3",
            "--kv_channels",
            "8",
            "--max_position_embeddings",
            "300",
            "--norm_epsilon",
            "1e-4",
            "--rotary_base",
            "5000",
            "--rope_scaling",
            "{\"type\":\"linear\",\"factor\":2.0}",
            "--disable_bias_linear",
            "false",
            "--untie_embeddings_and_output_weights",
            "false");
    ModelConfig config = ModelConfig.read(saved);
    assertThat(config.numLayers()).isEqualTo(2);
    assertThat(config.hiddenSize()).isEqualTo(48);
    assertThat(config.intermediateSize()).isEqualTo(80);
    assertThat(config.numHeads()).isEqualTo(6);
    assertThat(config.numKeyValueHeads()).isEqualTo(3);
    assertThat(config.headDim()).isEqualTo(8);
    assertThat(config.maxPositionEmbeddings()).isEqualTo(300);
    assertThat(config.normEpsilon()).isEqualTo(1e-4);
    assertThat(config.ropeTheta()).isEqualTo(5000);
    assertThat(config.ropeScaling()).isEqualTo(new RopeScaling.Linear(2));
    assertThat(config.qkvBias() && config.outputBias() && config.mlpBias()).isTrue();
    assertThat(config.tieWordEmbeddings()).isTrue();
    assertThat(json(saved.resolve("args.json")).get("num_layers").intValue()).isEqualTo(2);
    // The checkpoint states what was trained, so that going on needs none of the parameters.
    Path on = train(golden, model, "on", 2, "--load", saved.toString());
    assertThat(ModelConfig.read(on)).isEqualTo(config);
  }

  @Test
  void aWindowIsWrittenWhereAFamilyHasAKeyForIt() throws IOException {
    Golden golden = Golden.open("qwen3");
    Path saved =
        train(
            golden,
            golden.model(),
            "window",
            1,
            "--window_size",
            "31,0",
            "--window_attn_skip_freq",
            "[1,0,1]");
    ModelConfig config = ModelConfig.read(saved);
    assertThat(List.of(config.window(0), config.window(2))).containsOnly(32);
    assertThat(config.window(1)).isGreaterThan(1_000_000);
  }
}
