package io.panatron.runtime.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.panatron.runtime.UserError;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class HfModelFolderTest {
  private static final List<TensorSource> WEIGHTS =
      List.of(
          SmallCheckpoint.floats("a", 1, 2),
          SmallCheckpoint.floats("b", 3),
          SmallCheckpoint.floats("c", 4, 5, 6, 7),
          SmallCheckpoint.floats("d", 8));

  @TempDir Path folder;
  private ModelFolderFiles files;

  @BeforeEach
  void readSource() throws IOException {
    files = SmallCheckpoint.modelFiles(folder.resolve("source"));
  }

  private Path write(long maxShardBytes) {
    Path target = folder.resolve("deep/target");
    new HfModelFolder(files, SafetensorsDtype.F32, WEIGHTS, maxShardBytes).write(target);
    return target;
  }

  private static List<String> names(Path folder) throws IOException {
    try (var list = Files.list(folder)) {
      return list.map(file -> file.getFileName().toString()).sorted().toList();
    }
  }

  @Test
  void whatFitsIsOneFile() throws IOException {
    Path target = write(32);
    assertThat(names(target)).containsExactly("config.json", "model.safetensors", "tokenizer.json");
    assertThat(names(folder.resolve("deep"))).containsExactly("target");
  }

  @Test
  void whatDoesNotFitIsCutBeforeTheTensorThatWouldExceedTheLimit() throws IOException {
    Path target = write(12);
    assertThat(names(target))
        .containsExactly(
            "config.json",
            "model-00001-of-00003.safetensors",
            "model-00002-of-00003.safetensors",
            "model-00003-of-00003.safetensors",
            "model.safetensors.index.json",
            "tokenizer.json");
    JsonNode index =
        new ObjectMapper().readTree(target.resolve("model.safetensors.index.json").toFile());
    assertThat(index.get("metadata").get("total_size").longValue()).isEqualTo(32);
    assertThat(index.get("weight_map").get("b").textValue())
        .isEqualTo("model-00001-of-00003.safetensors");
    assertThat(index.get("weight_map").get("c").textValue())
        .isEqualTo("model-00002-of-00003.safetensors");
    try (Arena arena = Arena.ofConfined()) {
      assertThat(ModelWeights.open(target, arena).tensors()).containsOnlyKeys("a", "b", "c", "d");
    }
  }

  @Test
  void theConfigurationSaysTheSavedDtypeAndIsOtherwiseAsItWas() throws IOException {
    byte[] config = files.configWithDtype(SafetensorsDtype.BF16);
    JsonNode json = new ObjectMapper().readTree(config);
    assertThat(json.get("torch_dtype").textValue()).isEqualTo("bfloat16");
    assertThat(json.get("dtype").textValue()).isEqualTo("bfloat16");
    assertThat(json.get("rms_norm_eps").doubleValue()).isEqualTo(1e-6);
    assertThat(json.get("rope_theta").isDouble()).isTrue();
    assertThat(json.get("model_type").textValue()).isEqualTo("llama");
  }

  @Test
  void anExistingFolderIsNotTouched() throws IOException {
    Files.createDirectories(folder.resolve("deep/target"));
    assertThatThrownBy(() -> write(32))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("exists already");
  }

  @Test
  void allTokenizerFilesAreCopiedAndNothingElse() throws IOException {
    List<String> copied =
        List.of(
            "added_tokens.json",
            "chat_template.jinja",
            "generation_config.json",
            "merges.txt",
            "special_tokens_map.json",
            "tokenizer.json",
            "tokenizer_config.json",
            "vocab.json");
    for (String name : copied) {
      Files.writeString(folder.resolve("source").resolve(name), name);
    }
    Files.writeString(folder.resolve("source/secret.txt"), "no");
    files = ModelFolderFiles.read(folder.resolve("source"));
    Path target = write(32);
    assertThat(names(target)).containsAll(copied).doesNotContain("secret.txt").hasSize(10);
    assertThat(target.resolve("chat_template.jinja")).hasContent("chat_template.jinja");
  }

  @ParameterizedTest
  @CsvSource({
    "5GB, 5000000000",
    "200MB, 200000000",
    "1.5kb, 1500",
    "2GiB, 2147483648",
    "7B, 7",
    "12345, 12345",
    "3 TB, 3000000000000"
  })
  void sizesAreReadWithDecimalAndBinaryUnits(String text, long bytes) {
    assertThat(HfModelFolder.parseShardSize(text)).isEqualTo(bytes);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "GB", "-1", "0", "0GB", "5 apples", "1e9", "9999999999TB", "0.1B"})
  void whatIsNoSizeIsRefusedByName(String text) {
    assertThatThrownBy(() -> HfModelFolder.parseShardSize(text))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("--max_shard_size");
  }
}
