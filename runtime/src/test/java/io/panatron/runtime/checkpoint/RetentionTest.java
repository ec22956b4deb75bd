package io.panatron.runtime.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.panatron.runtime.UserError;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.OptionalInt;
import java.util.OptionalLong;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Which checkpoints go, and that none goes too soon. */
class RetentionTest {
  @TempDir Path folder;
  private Path run;
  private ModelFolderFiles files;

  @BeforeEach
  void makeRunFolder() throws IOException {
    files = SmallCheckpoint.modelFiles(folder.resolve("model"));
    run = Files.createDirectory(folder.resolve("run"));
  }

  private void save(Retention retention, long... iterations) {
    try (CheckpointStore store = CheckpointStore.open(run, retention)) {
      for (long iteration : iterations) {
        store.save(SmallCheckpoint.contents(files, iteration));
      }
    }
  }

  private Long[] kept() throws IOException {
    return CheckpointLayout.checkpoints(run).stream()
        .map(checkpoint -> CheckpointLayout.iteration(checkpoint).orElseThrow())
        .sorted()
        .toArray(Long[]::new);
  }

  @Test
  void theNewestOfALimitedNumberStay() throws IOException {
    save(Retention.newest(2), 10, 20, 30, 40);
    assertThat(kept()).containsExactly(30L, 40L);
    save(Retention.newest(1), 50);
    assertThat(kept()).containsExactly(50L);
  }

  /** A run that went back to iteration 10 writes 20 again: the older future is what goes. */
  @Test
  void newestMeansWrittenLast() throws IOException {
    save(Retention.ALL, 10, 30, 40);
    save(Retention.newest(2), 20);
    assertThat(kept()).containsExactly(20L, 40L);
    save(Retention.newest(2), 25);
    assertThat(kept()).containsExactly(20L, 25L);
  }

  @Test
  void theOneResumedFromStaysAsLongAsTheRunLasts() throws IOException {
    save(Retention.ALL, 10, 20);
    Path source = run.resolve("checkpoint-10");
    save(Retention.newest(1).keeping(source), 30, 40);
    assertThat(kept()).containsExactly(10L, 40L);
    save(Retention.atMultiplesOf(50).keeping(source), 60);
    assertThat(kept()).containsExactly(10L, 60L);
    save(Retention.newest(1), 70);
    assertThat(kept()).containsExactly(70L);
  }

  /** Through a link, too, and whatever else it is called. */
  @Test
  void theOneResumedFromIsKnownByWhatItIs() throws IOException {
    save(Retention.ALL, 10);
    Path link = Files.createSymbolicLink(folder.resolve("link"), run.resolve("checkpoint-10"));
    save(Retention.newest(1).keeping(link), 20);
    assertThat(kept()).containsExactly(10L, 20L);
    save(Retention.newest(1).keeping(folder.resolve("gone")), 30);
    assertThat(kept()).containsExactly(30L);
  }

  @Test
  void whatIsNoCheckpointOfOursStays() throws IOException {
    Files.createDirectories(run.resolve("checkpoint-5"));
    Files.writeString(run.resolve("checkpoint-5/trainer_state.json"), "{}");
    save(Retention.newest(1), 10, 20);
    assertThat(kept()).containsExactly(5L, 20L);
  }

  @Test
  void aDamagedOneCountsAsTheOldest() throws IOException {
    save(Retention.ALL, 10, 20);
    Files.writeString(run.resolve("checkpoint-20/manifest.json"), "torn");
    save(Retention.newest(2), 30);
    assertThat(kept()).containsExactly(10L, 30L);
  }

  /** A disk that says yes and keeps other bytes: what is older is not given up for that. */
  @Test
  void nothingIsDeletedForACheckpointThatCannotBeReadBack() throws IOException {
    save(Retention.ALL, 10);
    CheckpointFiles lying = new LyingDisk();
    try (CheckpointStore store = CheckpointStore.open(run, Retention.newest(1), lying)) {
      assertThatThrownBy(() -> store.save(SmallCheckpoint.contents(files, 20)))
          .isInstanceOf(UserError.class)
          .hasMessageContaining("checkpoint-20, just written, is damaged when read back")
          .hasMessageContaining("optimizer.safetensors has changed bytes")
          .message()
          .doesNotContain("\n");
    }
    assertThat(kept()).containsExactly(10L, 20L);
    assertThat(SmallCheckpoint.mark(Checkpoint.open(run, warning -> {}))).isEqualTo(10);
  }

  @Test
  void aLimitOfNoneIsRefused() {
    assertThatThrownBy(() -> Retention.newest(0))
        .isInstanceOf(UserError.class)
        .hasMessage("--save_total_limit 0 must be positive.");
    assertThat(new Retention(OptionalLong.of(2), OptionalInt.empty(), null))
        .isEqualTo(Retention.atMultiplesOf(2));
  }

  /** Changes a byte of the optimizer's file when its folder gets its name. */
  private static final class LyingDisk implements CheckpointFiles {
    @Override
    public void createDirectory(Path made) throws IOException {
      SYSTEM.createDirectory(made);
    }

    @Override
    public Output create(Path file) throws IOException {
      return SYSTEM.create(file);
    }

    @Override
    public void rename(Path from, Path to) throws IOException {
      if (CheckpointLayout.iteration(to).isPresent()) {
        Path file = from.resolve(CheckpointLayout.OPTIMIZER);
        byte[] bytes = Files.readAllBytes(file);
        bytes[bytes.length - 1] ^= 1;
        Files.write(file, bytes);
      }
      SYSTEM.rename(from, to);
    }

    @Override
    public void forceDirectory(Path forced) throws IOException {
      SYSTEM.forceDirectory(forced);
    }

    @Override
    public void delete(Path path) throws IOException {
      SYSTEM.delete(path);
    }
  }
}
