package io.panatron.runtime.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.panatron.runtime.UserError;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CheckpointStoreTest {
  @TempDir Path folder;
  private Path run;
  private ModelFolderFiles files;
  private final List<String> warnings = new ArrayList<>();

  @BeforeEach
  void makeRunFolder() throws IOException {
    files = SmallCheckpoint.modelFiles(folder.resolve("model"));
    run = Files.createDirectory(folder.resolve("run"));
  }

  private void save(Retention retain, long... iterations) {
    try (CheckpointStore store = CheckpointStore.open(run, retain)) {
      for (long iteration : iterations) {
        store.save(SmallCheckpoint.contents(files, iteration));
      }
    }
  }

  private List<String> names() throws IOException {
    try (var list = Files.list(run)) {
      return list.map(p -> p.getFileName().toString()).sorted().toList();
    }
  }

  @Test
  void aCheckpointHoldsModelArgumentsTrackerStateAndManifest() throws IOException {
    save(Retention.ALL, 7);
    Path checkpoint = run.resolve("checkpoint-7");
    try (var list = Files.walk(checkpoint)) {
      assertThat(list.filter(Files::isRegularFile).map(p -> checkpoint.relativize(p).toString()))
          .containsExactlyInAnyOrder(
              "args.json",
              "config.json",
              "latest_checkpointed_iteration.txt",
              "manifest.json",
              "model-00001-of-00002.safetensors",
              "model-00002-of-00002.safetensors",
              "model.safetensors.index.json",
              "state/optimizer.safetensors",
              "state/parameters.safetensors",
              "state/trainer_state.json",
              "tokenizer.json");
    }
    assertThat(checkpoint.resolve("latest_checkpointed_iteration.txt")).hasContent("7");
    assertThat(run.resolve("latest_checkpointed_iteration.txt")).hasContent("7");
    assertThat(checkpoint.resolve("tokenizer.json")).hasContent("{\"version\":\"1.0\"}");
  }

  @Test
  void theNewestOfARunFolderIsOpened() {
    save(Retention.ALL, 5, 10);
    Checkpoint checkpoint = Checkpoint.open(run, warnings::add);
    assertThat(checkpoint.iteration()).isEqualTo(10);
    assertThat(SmallCheckpoint.mark(checkpoint)).isEqualTo(10);
    assertThat(checkpoint.folder()).isEqualTo(run.resolve("checkpoint-10"));
    assertThat(warnings).isEmpty();
  }

  @Test
  void theNewestIsTheOneWrittenLastAlsoAfterGoingBack() {
    save(Retention.ALL, 5, 10);
    save(Retention.ALL, 7);
    assertThat(Checkpoint.open(run, warnings::add).iteration()).isEqualTo(7);
  }

  @Test
  void savingAnIterationAgainReplacesIt() {
    try (CheckpointStore store = CheckpointStore.open(run, Retention.ALL)) {
      store.save(SmallCheckpoint.contents(files, 5, 1));
      store.save(SmallCheckpoint.contents(files, 5, 2));
    }
    assertThat(SmallCheckpoint.mark(Checkpoint.open(run, warnings::add))).isEqualTo(2);
  }

  @Test
  void onlyMultiplesOfTheRetainIntervalAndTheNewestAreKept() throws IOException {
    save(Retention.atMultiplesOf(20), 10, 20, 30, 40, 50);
    assertThat(names())
        .containsExactly(
            ".checkpoint-writer.lock",
            "checkpoint-20",
            "checkpoint-40",
            "checkpoint-50",
            "latest_checkpointed_iteration.txt");
  }

  @Test
  void withoutARetainIntervalAllAreKept() throws IOException {
    save(Retention.ALL, 1, 2, 3);
    assertThat(names()).contains("checkpoint-1", "checkpoint-2", "checkpoint-3");
  }

  @Test
  void aRetainIntervalOfZeroIsRefused() {
    assertThatThrownBy(() -> CheckpointStore.open(run, Retention.atMultiplesOf(0)))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("--save_retain_interval 0");
  }

  @Test
  void optimizerAndRandomStatesMayBeLeftOut() {
    CheckpointContents all = SmallCheckpoint.contents(files, 5);
    TrainerState state = all.trainerState();
    TrainerState withoutRandom =
        new TrainerState(
            5,
            state.consumedTrainSamples(),
            0,
            state.schedulerSteps(),
            Map.of(),
            state.sums(),
            state.counters());
    try (CheckpointStore store = CheckpointStore.open(run, Retention.ALL)) {
      store.save(new CheckpointContents(5, all.model(), List.of(), List.of(), withoutRandom, "{}"));
    }
    Checkpoint checkpoint = Checkpoint.open(run.resolve("checkpoint-5"), warnings::add);
    try (Arena arena = Arena.ofConfined()) {
      assertThat(checkpoint.openOptimizer(arena)).isNull();
      assertThat(checkpoint.openMainParameters(arena)).isNull();
      assertThat(checkpoint.openWeights(arena).tensors()).hasSize(2);
    }
    assertThat(checkpoint.trainerState()).isEqualTo(withoutRandom);
  }

  @Test
  void savingWorksWhenTheSourceModelIsGone() throws IOException {
    CheckpointFiles.SYSTEM.deleteTree(folder.resolve("model"));
    save(Retention.ALL, 5);
    assertThat(run.resolve("checkpoint-5/config.json")).exists();
  }

  @Test
  void twoWritersOfOneRunFolderAreRefused() {
    try (CheckpointStore first = CheckpointStore.open(run, Retention.ALL)) {
      assertThatThrownBy(() -> CheckpointStore.open(run, Retention.ALL))
          .isInstanceOf(UserError.class)
          .hasMessageContaining("Another run is writing its checkpoints to " + run);
      first.save(SmallCheckpoint.contents(files, 1));
    }
    CheckpointStore.open(run, Retention.ALL).close();
  }

  @Test
  void onlyAWritersOwnLeftoversAreCleared() throws IOException {
    Files.createDirectories(run.resolve(".checkpoint-9.tmp/state"));
    Files.createDirectories(run.resolve(".checkpoint-8.deleted"));
    Files.createDirectories(run.resolve(".checkpoint-notes"));
    Files.createDirectories(run.resolve("checkpoint-1-merged"));
    Path outside = Files.createDirectory(folder.resolve("outside"));
    Files.writeString(outside.resolve("kept"), "");
    Files.createSymbolicLink(run.resolve(".checkpoint-9.tmp/link"), outside);
    CheckpointStore.open(run, Retention.ALL).close();
    assertThat(names())
        .containsExactly(".checkpoint-notes", ".checkpoint-writer.lock", "checkpoint-1-merged");
    assertThat(outside.resolve("kept")).exists();
  }

  @Test
  void aFolderWithoutCheckpointsIsExplained() throws IOException {
    assertThatThrownBy(() -> Checkpoint.open(run, warnings::add))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("holds no checkpoint-<n> folder")
        .hasMessageContaining("--model");
    assertThatThrownBy(() -> Checkpoint.open(run.resolve("nowhere"), warnings::add))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("is not a folder");
    Files.createDirectory(run.resolve("v0-20260102-030405"));
    assertThatThrownBy(() -> Checkpoint.open(run, warnings::add))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("holds the runs v0-20260102-030405");
  }

  @Test
  void aCheckpointOfANewerVersionIsRefused() throws IOException {
    save(Retention.ALL, 5);
    Path state = run.resolve("checkpoint-5/state/trainer_state.json");
    String text = Files.readString(state);
    Files.writeString(state, text.replace("\"format_version\" : 1", "\"format_version\" : 2"));
    assertThatThrownBy(() -> TrainerState.read(state))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("format version 2")
        .hasMessageContaining("newer version");
  }
}
