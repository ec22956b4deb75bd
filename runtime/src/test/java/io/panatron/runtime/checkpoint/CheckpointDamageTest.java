package io.panatron.runtime.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.panatron.runtime.UserError;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Torn and flipped bytes are noticed, and the checkpoint before is used. */
class CheckpointDamageTest {
  private static final long SEED = 20_260_731;

  @TempDir Path folder;
  private Path run;
  private final List<String> warnings = new ArrayList<>();

  @BeforeEach
  void saveTwoCheckpoints() throws IOException {
    ModelFolderFiles files = SmallCheckpoint.modelFiles(folder.resolve("model"));
    run = Files.createDirectory(folder.resolve("run"));
    try (CheckpointStore store = CheckpointStore.open(run, Retention.ALL)) {
      store.save(SmallCheckpoint.contents(files, 10));
      store.save(SmallCheckpoint.contents(files, 20));
    }
  }

  private long open(Path load) {
    warnings.clear();
    return SmallCheckpoint.mark(Checkpoint.open(load, warnings::add));
  }

  private List<Path> filesOf(long iteration) throws IOException {
    try (var files = Files.walk(run.resolve("checkpoint-" + iteration))) {
      return files.filter(Files::isRegularFile).sorted().toList();
    }
  }

  @Test
  void aFlippedBitAnywhereIsDetected() throws IOException {
    Random random = new Random(SEED);
    List<Path> files = filesOf(20);
    assertThat(files).hasSizeGreaterThan(9);
    for (int i = 0; i < 1000; i++) {
      Path file = files.get(i % files.size());
      byte[] bytes = Files.readAllBytes(file);
      byte[] flipped = bytes.clone();
      int at = random.nextInt(bytes.length);
      flipped[at] ^= (byte) (1 << random.nextInt(8));
      Files.write(file, flipped);
      assertThat(open(run)).as("seed %d, byte %d of %s flipped", SEED, at, file).isEqualTo(10);
      assertThat(warnings)
          .singleElement()
          .asString()
          .startsWith(run.resolve("checkpoint-20") + " is damaged (")
          .endsWith("); checkpoint-10 is used instead.")
          .doesNotContain("\n");
      Files.write(file, bytes);
    }
    assertThat(open(run)).isEqualTo(20);
    assertThat(warnings).isEmpty();
  }

  @Test
  void aFileCutAnywhereIsDetected() throws IOException {
    Random random = new Random(SEED);
    List<Path> files = filesOf(20);
    for (int i = 0; i < 200; i++) {
      Path file = files.get(i % files.size());
      byte[] bytes = Files.readAllBytes(file);
      int length = random.nextInt(bytes.length);
      Files.write(file, java.util.Arrays.copyOf(bytes, length));
      assertThat(open(run)).as("seed %d, %s cut to %d bytes", SEED, file, length).isEqualTo(10);
      Files.write(file, bytes);
    }
  }

  @Test
  void aTornLongerOrMissingFileIsDetected() throws IOException {
    for (Path file : filesOf(20)) {
      byte[] bytes = Files.readAllBytes(file);
      for (int length : new int[] {0, bytes.length / 2, bytes.length - 1, bytes.length + 1}) {
        Files.write(file, java.util.Arrays.copyOf(bytes, length));
        assertThat(open(run)).as("%s cut to %d bytes", file, length).isEqualTo(10);
      }
      Files.delete(file);
      assertThat(open(run)).as("%s deleted", file).isEqualTo(10);
      Files.write(file, bytes);
    }
  }

  @Test
  void aNamedCheckpointThatIsDamagedGivesWayToAnOlderOneOnly() throws IOException {
    assertThat(open(run.resolve("checkpoint-10"))).isEqualTo(10);
    Path newest = run.resolve("checkpoint-20/args.json");
    Files.writeString(newest, "{}");
    assertThat(open(run.resolve("checkpoint-20"))).isEqualTo(10);
    assertThat(warnings).singleElement().asString().contains("args.json has 2 bytes instead of");
    Files.writeString(run.resolve("checkpoint-10/args.json"), "{}");
    assertThatThrownBy(() -> open(run.resolve("checkpoint-10")))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("holds no good checkpoint")
        .hasMessageContaining("checkpoint-10 is damaged");
  }

  @Test
  void noGoodCheckpointIsOneSentenceNamingAll() throws IOException {
    for (long iteration : new long[] {10, 20}) {
      Files.delete(run.resolve("checkpoint-" + iteration + "/manifest.json"));
    }
    assertThatThrownBy(() -> open(run))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("checkpoint-10 is damaged (its manifest.json cannot be read")
        .hasMessageContaining("checkpoint-20 is damaged (its manifest.json cannot be read")
        .message()
        .doesNotContain("\n");
  }

  @Test
  void aBrokenTrackerFileOfTheRunFolderDoesNotMatter() throws IOException {
    Files.writeString(run.resolve("latest_checkpointed_iteration.txt"), "garbage");
    assertThat(open(run)).isEqualTo(20);
  }

  @Test
  void aChecksumCoversEachChunkOfALargeFile() throws IOException {
    Path file = folder.resolve("large");
    byte[] bytes = new byte[2 * ChunkChecksums.CHUNK_BYTES + 5];
    new Random(SEED).nextBytes(bytes);
    Files.write(file, bytes);
    List<Integer> before = ChunkChecksums.of(file);
    assertThat(before).hasSize(3);
    bytes[ChunkChecksums.CHUNK_BYTES] ^= 1;
    Files.write(file, bytes);
    List<Integer> after = ChunkChecksums.of(file);
    assertThat(after.get(0)).isEqualTo(before.get(0));
    assertThat(after.get(1)).isNotEqualTo(before.get(1));
    assertThat(after.get(2)).isEqualTo(before.get(2));
  }
}
