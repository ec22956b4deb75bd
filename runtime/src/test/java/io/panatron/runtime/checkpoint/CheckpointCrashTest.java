package io.panatron.runtime.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.fail;

import io.panatron.runtime.UserError;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.TreeSet;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Whatever instant the writer dies at, the last good checkpoint is found. */
class CheckpointCrashTest {
  /** With either the checkpoint of iteration 10 is deleted once that of 20 is written. */
  private static final Retention RETAIN = Retention.atMultiplesOf(20);

  private static final Retention NEWEST = Retention.newest(1);

  private static final int MORE_THAN_ALL_STEPS = 10_000;

  /** Going on after a crash is the same work each time, so not every crash is followed by it. */
  private static final int GO_ON_EVERY = 8;

  @TempDir Path folder;
  private ModelFolderFiles files;

  @BeforeEach
  void readModelFolder() throws IOException {
    files = SmallCheckpoint.modelFiles(folder.resolve("model"));
  }

  private static long openMark(Path run) {
    return SmallCheckpoint.mark(
        Checkpoint.open(run, warning -> fail("a warning for an undamaged run folder: " + warning)));
  }

  @ParameterizedTest
  @CsvSource({
    "20, false, false",
    "20, true, false",
    "10, false, false",
    "10, true, false",
    "20, false, true",
    "20, true, true",
    "10, true, true"
  })
  void theLastGoodCheckpointIsFoundAfterACrashBeforeAnyStep(
      long iteration, boolean powerLoss, boolean limited) throws IOException {
    Retention retention = limited ? NEWEST : RETAIN;
    TreeSet<Long> found = new TreeSet<>();
    for (int step = 0; step < MORE_THAN_ALL_STEPS; step++) {
      Path run = Files.createDirectory(folder.resolve("run" + step));
      boolean crashed = crashWhileSaving(run, retention, iteration, step, powerLoss);
      long mark = openMark(run);
      found.add(mark);
      assertThat(mark).isIn(crashed ? new Long[] {10L, 99L} : new Long[] {99L});
      try (CheckpointStore store = CheckpointStore.open(run, retention, new FaultyFiles())) {
        assertThat(SmallCheckpoint.hidden(run)).as("left after a crash at step %d", step).isEmpty();
        assertThat(openMark(run)).isEqualTo(mark);
        if (step % GO_ON_EVERY == 0) {
          store.save(SmallCheckpoint.contents(files, 30));
          assertThat(openMark(run)).isEqualTo(30);
        }
      }
      CheckpointFiles.SYSTEM.deleteTree(run);
      if (!crashed) {
        assertThat(found).containsExactly(10L, 99L);
        assertThat(step).as("steps of one save").isGreaterThan(50);
        return;
      }
    }
    fail("the save never ended");
  }

  /** Saves iteration 10, then {@code iteration} with mark 99 and dies before that step. */
  private boolean crashWhileSaving(
      Path run, Retention retention, long iteration, int step, boolean powerLoss)
      throws IOException {
    FaultyFiles disk = new FaultyFiles();
    try (CheckpointStore store = CheckpointStore.open(run, retention, disk)) {
      store.save(SmallCheckpoint.contents(files, 10));
      disk.crashAfter(step);
      store.save(SmallCheckpoint.contents(files, iteration, 99));
    } catch (FaultyFiles.Crash e) {
      assertThat(disk.hasCrashed()).isTrue();
    }
    if (disk.hasCrashed() && powerLoss) {
      disk.losePower();
    }
    return disk.hasCrashed();
  }

  @Test
  void aCrashWhileClearingUpAfterACrashLosesNothing() throws IOException {
    int clearings = 0;
    for (int step = 0; step < MORE_THAN_ALL_STEPS; step += GO_ON_EVERY - 1) {
      Path run = Files.createDirectory(folder.resolve("run" + step));
      boolean crashed = crashWhileSaving(run, RETAIN, 10, step, false);
      long mark = openMark(run);
      for (int clearing = 0; clearing < MORE_THAN_ALL_STEPS; clearing++) {
        FaultyFiles disk = new FaultyFiles();
        disk.crashAfter(1);
        try {
          CheckpointStore.open(run, RETAIN, disk).close();
          break;
        } catch (FaultyFiles.Crash e) {
          clearings++;
          assertThat(openMark(run)).isEqualTo(mark);
        }
      }
      if (!crashed) {
        assertThat(clearings).isGreaterThan(20);
        return;
      }
    }
    fail("the save never ended");
  }

  @ParameterizedTest
  @ValueSource(longs = {0, 1, 100, 500, 1000})
  void aFullDiskIsOneSentenceAndLeavesTheLastCheckpointAlone(long bytes) throws IOException {
    Path run = Files.createDirectory(folder.resolve("run"));
    FaultyFiles disk = new FaultyFiles();
    try (CheckpointStore store = CheckpointStore.open(run, RETAIN, disk)) {
      store.save(SmallCheckpoint.contents(files, 10));
      disk.limitBytes(bytes);
      assertThatThrownBy(() -> store.save(SmallCheckpoint.contents(files, 20)))
          .isInstanceOf(UserError.class)
          .hasMessageStartingWith(
              "The disk is full: " + run.resolve("checkpoint-20") + " needs 66.5 kB")
          .hasMessageContaining(" left; make room or give another --save ")
          .message()
          .doesNotContain("\n");
      assertThat(SmallCheckpoint.hidden(run)).isEmpty();
      assertThat(run.resolve("checkpoint-20")).doesNotExist();
      assertThat(openMark(run)).isEqualTo(10);
      disk.limitBytes(Long.MAX_VALUE);
      store.save(SmallCheckpoint.contents(files, 20));
      assertThat(openMark(run)).isEqualTo(20);
    }
  }

  @Test
  void theSystemsWordsForAFullDiskAreKnown() throws IOException {
    Path full = Path.of("/dev/full");
    Assumptions.assumeTrue(Files.isWritable(full), "needs /dev/full");
    try (FileChannel channel = FileChannel.open(full, StandardOpenOption.WRITE)) {
      assertThatThrownBy(() -> channel.write(ByteBuffer.allocate(1)))
          .isInstanceOfSatisfying(
              IOException.class, e -> assertThat(FileFailure.isDiskFull(e)).isTrue());
    }
  }

  @Test
  void aSourceThatFailsLeavesNothingBehind() throws IOException {
    Path run = Files.createDirectory(folder.resolve("run"));
    CheckpointContents good = SmallCheckpoint.contents(files, 10);
    TensorSource broken =
        new TensorSource(
            "x",
            SafetensorsDtype.F32,
            new long[] {2},
            out -> CheckpointFiles.writeFully(out, new byte[4]));
    CheckpointContents bad =
        new CheckpointContents(
            10,
            good.model(),
            java.util.List.of(broken),
            good.optimizer(),
            good.trainerState(),
            good.argsJson());
    try (CheckpointStore store = CheckpointStore.open(run, Retention.ALL)) {
      assertThatThrownBy(() -> store.save(bad))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("tensor x delivered 4 bytes, but its shape [2] needs 8");
      assertThat(SmallCheckpoint.hidden(run)).isEmpty();
      assertThat(run.resolve("checkpoint-10")).doesNotExist();
    }
  }
}
