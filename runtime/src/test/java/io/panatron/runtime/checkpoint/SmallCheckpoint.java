package io.panatron.runtime.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** Checkpoints of a few hundred bytes whose every tensor says which iteration wrote it. */
final class SmallCheckpoint {
  private SmallCheckpoint() {}

  /** A model folder with a configuration and a tokenizer. */
  static ModelFolderFiles modelFiles(Path folder) throws IOException {
    Files.createDirectories(folder);
    Files.writeString(
        folder.resolve("config.json"),
        "{\"model_type\": \"llama\", \"rms_norm_eps\": 1e-06, \"rope_theta\": 500000.0,"
            + " \"dtype\": \"float32\"}");
    Files.writeString(folder.resolve("tokenizer.json"), "{\"version\":\"1.0\"}");
    return ModelFolderFiles.read(folder);
  }

  static TensorSource floats(String name, float... values) {
    return TensorSource.ofSegment(
        name,
        SafetensorsDtype.F32,
        new long[] {values.length},
        () -> MemorySegment.ofArray(values));
  }

  static CheckpointContents contents(ModelFolderFiles files, long iteration) {
    return contents(files, iteration, iteration);
  }

  /** A checkpoint of {@code iteration} whose tensors hold {@code mark}. */
  static CheckpointContents contents(ModelFolderFiles files, long iteration, long mark) {
    TrainerState state =
        new TrainerState(
            iteration,
            iteration * 4,
            0,
            iteration * 4,
            Map.of("sampler", List.of(mark, -1L)),
            Map.of("loss", 0.1 * mark),
            Map.of());
    HfModelFolder model =
        new HfModelFolder(
            files,
            SafetensorsDtype.F32,
            List.of(floats("a.weight", (float) mark, 1, 2), floats("b.weight", (float) mark, 3)),
            16);
    return new CheckpointContents(
        iteration,
        model,
        List.of(floats("a.weight", (float) mark)),
        List.of(
            floats("a.weight.exp_avg", (float) mark), floats("a.weight.exp_avg_sq", (float) mark)),
        state,
        "{\"mark\":" + mark + "}");
  }

  /** Checks that every part of a checkpoint is there and of the same writing; returns its mark. */
  static long mark(Checkpoint checkpoint) {
    long mark = checkpoint.args().get("mark").longValue();
    try (Arena arena = Arena.ofConfined()) {
      ModelWeights weights = checkpoint.openWeights(arena);
      weights.match(Map.of("a.weight", new long[] {3}, "b.weight", new long[] {2}));
      assertThat(first(found(weights.tensor("a.weight")))).isEqualTo(mark);
      assertThat(first(found(weights.tensor("b.weight")))).isEqualTo(mark);
      assertThat(first(found(found(checkpoint.openMainParameters(arena)).tensor("a.weight"))))
          .isEqualTo(mark);
      SafetensorsFile optimizer = found(checkpoint.openOptimizer(arena));
      assertThat(first(found(optimizer.tensor("a.weight.exp_avg_sq")))).isEqualTo(mark);
    }
    assertThat(checkpoint.trainerState().randomStates())
        .containsEntry("sampler", List.of(mark, -1L));
    assertThat(checkpoint.trainerState().iteration()).isEqualTo(checkpoint.iteration());
    return mark;
  }

  private static long first(SafetensorsTensor tensor) {
    return (long) tensor.data().get(ValueLayout.JAVA_FLOAT_UNALIGNED, 0);
  }

  /** What a test needs to be there. */
  static <T> T found(@Nullable T value) {
    return Objects.requireNonNull(value, "the test's subject is not there");
  }

  /** The names in a folder that start with a dot, the lock apart. */
  static List<String> hidden(Path folder) throws IOException {
    try (var files = Files.list(folder)) {
      return files
          .map(file -> file.getFileName().toString())
          .filter(name -> name.startsWith(".") && !name.equals(CheckpointLayout.WRITER_LOCK))
          .sorted()
          .toList();
    }
  }
}
