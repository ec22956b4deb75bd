package io.panatron.runtime.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.panatron.runtime.UserError;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Saving beside training: what is copied when, what waits for what, and how failures come out. */
class AsyncCheckpointsTest {
  @TempDir Path folder;
  private Path run;
  private ModelFolderFiles files;

  @BeforeEach
  void makeRunFolder() throws IOException {
    files = SmallCheckpoint.modelFiles(folder.resolve("model"));
    run = Files.createDirectory(folder.resolve("run"));
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void whatIsSavedIsWhatASynchronousSaveWrites(boolean persistent) throws IOException {
    try (CheckpointStore store = CheckpointStore.open(run, Retention.ALL);
        AsyncCheckpoints checkpoints = new AsyncCheckpoints(store, persistent)) {
      if (persistent) {
        checkpoints.prepare(SmallCheckpoint.contents(files, 0));
      }
      for (long iteration = 1; iteration <= 5; iteration++) {
        checkpoints.save(SmallCheckpoint.contents(files, iteration));
        checkpoints.awaitCopied();
        assertThat(checkpoints.isCopied()).isTrue();
      }
      for (long iteration = 1; iteration <= 5; iteration++) {
        AsyncCheckpoints.Written written = checkpoints.await();
        assertThat(written)
            .isEqualTo(
                new AsyncCheckpoints.Written(iteration, run.resolve("checkpoint-" + iteration)));
      }
      assertThat(checkpoints.await()).isNull();
      assertThat(checkpoints.poll()).isNull();
    }
    Path other = Files.createDirectory(folder.resolve("other"));
    try (CheckpointStore store = CheckpointStore.open(other, Retention.ALL)) {
      for (long iteration = 1; iteration <= 5; iteration++) {
        store.save(SmallCheckpoint.contents(files, iteration));
      }
    }
    try (var walked = Files.walk(other)) {
      List<Path> written = walked.filter(Files::isRegularFile).toList();
      assertThat(written).hasSizeGreaterThan(50);
      for (Path file : written) {
        Path ours = run.resolve(other.relativize(file));
        assertThat(Files.mismatch(ours, file)).as("first difference of %s", ours).isEqualTo(-1);
      }
    }
  }

  @Test
  void tensorsMayChangeOnceTheyAreCopied() throws IOException {
    float[] values = {10};
    SlowDisk disk = new SlowDisk();
    try (CheckpointStore store = CheckpointStore.open(run, Retention.ALL, disk);
        AsyncCheckpoints checkpoints = new AsyncCheckpoints(store, false)) {
      checkpoints.save(withOptimizer(10, SmallCheckpoint.floats("a.weight.exp_avg_sq", values)));
      checkpoints.awaitCopied();
      values[0] = 11;
      AsyncCheckpoints.Written early = checkpoints.poll();
      disk.letGo();
      assertThat(early).isNull();
      assertThat(SmallCheckpoint.found(checkpoints.await()).iteration()).isEqualTo(10);
    }
    assertThat(SmallCheckpoint.mark(Checkpoint.open(run, warning -> {}))).isEqualTo(10);
  }

  @Test
  void aThirdSaveWaitsForTheFirstToBeWritten()
      throws IOException, InterruptedException, ExecutionException, TimeoutException {
    SlowDisk disk = new SlowDisk();
    try (CheckpointStore store = CheckpointStore.open(run, Retention.ALL, disk);
        AsyncCheckpoints checkpoints = new AsyncCheckpoints(store, false);
        ExecutorService training = Executors.newSingleThreadExecutor()) {
      checkpoints.save(SmallCheckpoint.contents(files, 1));
      checkpoints.awaitCopied();
      checkpoints.save(SmallCheckpoint.contents(files, 2));
      checkpoints.awaitCopied();
      Future<?> third = training.submit(() -> checkpoints.save(SmallCheckpoint.contents(files, 3)));
      try {
        assertThatThrownBy(() -> third.get(200, TimeUnit.MILLISECONDS))
            .isInstanceOf(TimeoutException.class);
      } finally {
        disk.letGo();
      }
      third.get(60, TimeUnit.SECONDS);
    }
    assertThat(Checkpoint.open(run, warning -> {}).iteration()).isEqualTo(3);
    assertThat(CheckpointLayout.checkpoints(run)).hasSize(3);
  }

  @Test
  void aFailureComesOutWhereTheNextStepAsks() throws IOException {
    FaultyFiles disk = new FaultyFiles();
    try (CheckpointStore store = CheckpointStore.open(run, Retention.newest(1), disk)) {
      AsyncCheckpoints checkpoints = new AsyncCheckpoints(store, false);
      checkpoints.save(SmallCheckpoint.contents(files, 10));
      assertThat(checkpoints.await()).isNotNull();
      disk.limitBytes(100);
      checkpoints.save(SmallCheckpoint.contents(files, 20));
      assertThatThrownBy(checkpoints::await)
          .isInstanceOf(UserError.class)
          .hasMessageStartingWith("The disk is full: " + run.resolve("checkpoint-20"))
          .message()
          .doesNotContain("\n");
      // Told once; there is nothing left to wait for.
      checkpoints.close();
    }
    assertThat(SmallCheckpoint.hidden(run)).isEmpty();
    assertThat(SmallCheckpoint.mark(Checkpoint.open(run, warning -> {}))).isEqualTo(10);
  }

  @Test
  void aFailureThatNobodyAskedForComesOutAtTheEnd() {
    FaultyFiles disk = new FaultyFiles();
    try (CheckpointStore store = CheckpointStore.open(run, Retention.ALL, disk)) {
      AsyncCheckpoints checkpoints = new AsyncCheckpoints(store, true);
      disk.limitBytes(0);
      checkpoints.save(SmallCheckpoint.contents(files, 20));
      assertThatThrownBy(checkpoints::close)
          .isInstanceOf(UserError.class)
          .hasMessageStartingWith("The disk is full");
    }
  }

  @Test
  void aTensorThatCannotBeCopiedStopsTheUpdate() {
    TensorSource broken =
        new TensorSource(
            "x",
            SafetensorsDtype.F32,
            new long[] {2},
            out -> CheckpointFiles.writeFully(out, new byte[4]));
    try (CheckpointStore store = CheckpointStore.open(run, Retention.ALL)) {
      AsyncCheckpoints checkpoints = new AsyncCheckpoints(store, false);
      checkpoints.save(withOptimizer(10, broken));
      assertThatThrownBy(checkpoints::awaitCopied)
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("4 bytes of its 8");
      assertThatThrownBy(checkpoints::close).isInstanceOf(IllegalStateException.class);
      assertThat(run.resolve("checkpoint-10")).doesNotExist();
    }
  }

  /** One save after another takes the memory of the first. */
  @Test
  void theMemoryOfACopyIsUsedAgain() throws IOException {
    try (HostCopy memory = new HostCopy()) {
      MemorySegment[] places = new MemorySegment[3];
      for (int i = 0; i < places.length; i++) {
        CheckpointContents copy = memory.copy(SmallCheckpoint.contents(files, i));
        places[i] = place(copy.optimizer().getFirst());
      }
      assertThat(places[1].address()).isEqualTo(places[0].address());
      assertThat(places[2].address()).isEqualTo(places[0].address());
    }
  }

  @Test
  void memoryThatCannotBeHadIsOneSentence() {
    try (HostCopy memory = new HostCopy()) {
      assertThatThrownBy(() -> memory.reserve(1L << 60))
          .isInstanceOf(UserError.class)
          .hasMessageContaining("--async_save true")
          .hasMessageContaining("cannot be had; free memory")
          .message()
          .doesNotContain("\n");
      memory.reserve(100);
    }
  }

  private static MemorySegment place(TensorSource copied) throws IOException {
    PlaceOfBytes place = new PlaceOfBytes();
    copied.writeTo(place);
    return SmallCheckpoint.found(place.seen);
  }

  /** Remembers where the bytes lie that it is given. */
  private static final class PlaceOfBytes implements WritableByteChannel {
    private @Nullable MemorySegment seen;

    @Override
    public int write(ByteBuffer source) {
      seen = MemorySegment.ofBuffer(source);
      int count = source.remaining();
      source.position(source.limit());
      return count;
    }

    @Override
    public boolean isOpen() {
      return true;
    }

    @Override
    public void close() {}
  }

  private CheckpointContents withOptimizer(long iteration, TensorSource tensor) {
    CheckpointContents usual = SmallCheckpoint.contents(files, iteration);
    return new CheckpointContents(
        iteration,
        usual.model(),
        usual.mainParameters(),
        List.of(tensor),
        usual.trainerState(),
        usual.argsJson());
  }

  /** A disk that does not begin to write before it is let go. */
  private static final class SlowDisk implements CheckpointFiles {
    private final CountDownLatch gate = new CountDownLatch(1);

    void letGo() {
      gate.countDown();
    }

    @Override
    public void createDirectory(Path made) throws IOException {
      try {
        gate.await();
      } catch (InterruptedException e) {
        throw new IOException(e);
      }
      SYSTEM.createDirectory(made);
    }

    @Override
    public Output create(Path file) throws IOException {
      return SYSTEM.create(file);
    }

    @Override
    public void rename(Path from, Path to) throws IOException {
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
