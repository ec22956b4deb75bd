package io.panatron.runtime.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.panatron.runtime.UserError;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ModelWeightsTest {
  @TempDir Path folder;
  private final Arena arena = Arena.ofConfined();

  @AfterEach
  void closeArena() {
    arena.close();
  }

  private void write(String name, TensorSource... tensors) throws IOException {
    try (FileChannel out =
        FileChannel.open(
            folder.resolve(name), StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
      SafetensorsWriter.write(List.of(tensors), out);
    }
  }

  private void index(String weightMap) throws IOException {
    Files.writeString(
        folder.resolve("model.safetensors.index.json"),
        ("{'metadata':{'total_size':8},'weight_map':" + weightMap + "}").replace('\'', '"'));
  }

  private ModelWeights open() {
    return ModelWeights.open(folder, arena);
  }

  private static TensorSource tensor(String name) {
    return SmallCheckpoint.floats(name, 1);
  }

  @Test
  void aSingleFileIsRead() throws IOException {
    write("model.safetensors", tensor("a"), tensor("b"));
    assertThat(open().tensors()).containsOnlyKeys("a", "b");
    assertThat(open().isEmpty()).isFalse();
  }

  @Test
  void shardsAreReadThroughTheirIndex() throws IOException {
    write("one.safetensors", tensor("a"));
    write("two.safetensors", tensor("b"));
    index("{'a':'one.safetensors','b':'two.safetensors'}");
    assertThat(open().tensors()).containsOnlyKeys("a", "b");
  }

  @Test
  void aFolderWithoutWeightsIsEmpty() throws IOException {
    Files.writeString(folder.resolve("config.json"), "{}");
    assertThat(open().isEmpty()).isTrue();
  }

  @Test
  void missingShardsAreNamedTogether() throws IOException {
    index("{'a':'one.safetensors','b':'two.safetensors'}");
    assertThatThrownBy(this::open)
        .isInstanceOf(UserError.class)
        .hasMessageContaining("lists 2 shard(s) that the folder lacks")
        .hasMessageContaining("one.safetensors, two.safetensors");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "'../one.safetensors'",
        "'/tmp/one.safetensors'",
        "'sub/one.safetensors'",
        "'..\\\\one.safetensors'",
        "'one.bin'",
        "'.safetensors'",
        "''",
        "7",
        "null"
      })
  void noPathLeavesTheFolder(String shard) throws IOException {
    index("{'a':" + shard + "}");
    assertThatThrownBy(this::open)
        .isInstanceOf(UserError.class)
        .hasMessageContaining("puts tensor a into")
        .hasMessageContaining("not the name of a .safetensors file");
  }

  @Test
  void aTensorInTheWrongShardIsNamed() throws IOException {
    write("one.safetensors", tensor("a"), tensor("b"));
    write("two.safetensors", tensor("c"));
    index(
        "{'a':'one.safetensors','b':'two.safetensors','c':'two.safetensors','d':'two.safetensors'}");
    assertThatThrownBy(this::open)
        .isInstanceOf(UserError.class)
        .hasMessageContaining("does not fit its shards for 2 tensor(s)")
        .hasMessageContaining("b (listed in two.safetensors, found in one.safetensors)")
        .hasMessageContaining("d (listed in two.safetensors, found in no shard)");
  }

  @Test
  void aTensorInTwoShardsIsNamed() throws IOException {
    write("one.safetensors", tensor("a"));
    write("two.safetensors", tensor("a"), tensor("b"));
    index("{'a':'one.safetensors','b':'two.safetensors'}");
    assertThatThrownBy(this::open)
        .isInstanceOf(UserError.class)
        .hasMessageContaining("Tensor a is in both one.safetensors and two.safetensors");
  }

  @Test
  void anIndexWithoutAMapIsRefused() throws IOException {
    index("{}");
    assertThatThrownBy(this::open).isInstanceOf(UserError.class).hasMessageContaining("weight_map");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"pytorch_model.bin", "pytorch_model.bin.index.json", "consolidated.00.pth"})
  void otherFormatsAreToBeConverted(String name) throws IOException {
    Files.createFile(folder.resolve(name));
    assertThatThrownBy(this::open)
        .isInstanceOf(UserError.class)
        .hasMessageContaining(name)
        .hasMessageContaining("convert them to safetensors");
  }

  @Test
  void shardsWithoutTheirIndexAreNotTakenForAnEmptyFolder() throws IOException {
    write("model-00001-of-00002.safetensors", tensor("a"));
    assertThatThrownBy(this::open)
        .isInstanceOf(UserError.class)
        .hasMessageContaining("holds model-00001-of-00002.safetensors but neither");
  }

  @Test
  void allDifferencesAreReportedTogether() throws IOException {
    write(
        "model.safetensors",
        SmallCheckpoint.floats("good", 1),
        SmallCheckpoint.floats("long", 1, 2, 3),
        tensor("extra.weight"),
        new TensorSource("ints", SafetensorsDtype.I32, new long[] {0}, out -> {}),
        tensor("model.layers.0.self_attn.rotary_emb.inv_freq"));
    Map<String, long[]> expected = new LinkedHashMap<>();
    expected.put("good", new long[] {1});
    expected.put("long", new long[] {2});
    expected.put("ints", new long[] {0});
    for (int i = 0; i < 25; i++) {
      expected.put("lost." + i, new long[] {1});
    }
    assertThatThrownBy(() -> open().match(expected))
        .isInstanceOf(UserError.class)
        .hasMessage(
            "The weights in %s do not fit its config.json: 25 missing (%s and 5 more); "
                    .formatted(folder, lost(20))
                + "1 not part of the model (extra.weight); 2 of a wrong shape or type "
                + "(long is [3] instead of [2], ints is I32).");
  }

  private static String lost(int count) {
    StringBuilder text = new StringBuilder("lost.0");
    for (int i = 1; i < count; i++) {
      text.append(", lost.").append(i);
    }
    return text.toString();
  }

  @Test
  void aTiedOutputMayStandThereTwiceIfItIsTheSame() throws IOException {
    Map<String, long[]> expected = Map.of("embed", new long[] {1});
    Map<String, String> tied = Map.of("head", "embed");
    write("model.safetensors", tensor("embed"), tensor("head"));
    open().match(expected, tied);
    assertThatThrownBy(() -> open().match(expected))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("1 not part of the model (head)");
    write("model.safetensors", tensor("embed"), SmallCheckpoint.floats("head", 2));
    assertThatThrownBy(() -> open().match(expected, tied))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("head differs from embed");
  }

  @Test
  void aPathThatIsNoFolderIsNamed() {
    assertThatThrownBy(() -> ModelWeights.open(folder.resolve("none"), arena))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("is not a folder");
  }
}
