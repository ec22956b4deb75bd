package io.panatron.runtime.checkpoint;

import io.panatron.runtime.UserError;
import io.panatron.runtime.observe.CheckpointEvent;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Writes the checkpoints of one run folder so that at every instant the last good one can be found.
 * One thread saves at a time.
 *
 * <p>A checkpoint is filled under a hidden name, every file flushed, the manifest last; then the
 * folder is flushed, renamed to {@code checkpoint-<iteration>}, and the run folder flushed. Only
 * then are the tracker file replaced and older checkpoints deleted. A lock on the run folder, which
 * the system drops when its holder dies, keeps a second writer out and makes it safe to clear what
 * a dead one left.
 */
public final class CheckpointStore implements AutoCloseable {
  private final Path runFolder;
  private final Retention retention;
  private final CheckpointFiles files;
  private final FileChannel lock;

  private CheckpointStore(
      Path runFolder, Retention retention, CheckpointFiles files, FileChannel lock) {
    this.runFolder = runFolder;
    this.retention = retention;
    this.files = files;
    this.lock = lock;
  }

  /**
   * Takes the run folder for writing and clears what a dead writer left in it. Open the store
   * before loading from the same folder: clearing may give a checkpoint its name back.
   *
   * @param runFolder an existing folder
   * @param retention which older checkpoints stay once a newer one is written
   * @throws UserError where another process is writing there, or the disk refuses
   */
  public static CheckpointStore open(Path runFolder, Retention retention) {
    return open(runFolder, retention, CheckpointFiles.SYSTEM);
  }

  static CheckpointStore open(Path folder, Retention retention, CheckpointFiles files) {
    Path runFolder = folder.toAbsolutePath().normalize();
    FileChannel lock = lock(runFolder);
    CheckpointStore store = new CheckpointStore(runFolder, retention, files, lock);
    boolean opened = false;
    try {
      store.clearLeftovers();
      opened = true;
      return store;
    } catch (IOException e) {
      throw new UserError(
          "What an earlier run left in %s cannot be cleared: %s."
              .formatted(runFolder, FileFailure.reason(e)),
          e);
    } finally {
      if (!opened) {
        store.close();
      }
    }
  }

  // The channel is the store's: it is closed with it, and at once where no store comes about.
  @SuppressWarnings("MustBeClosedChecker")
  private static FileChannel lock(Path runFolder) {
    Path file = runFolder.resolve(CheckpointLayout.WRITER_LOCK);
    FileChannel channel = null;
    FileLock held = null;
    try {
      channel = FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
      held = channel.tryLock();
    } catch (OverlappingFileLockException e) {
      // Another store of this process holds it; reported below.
      held = null;
    } catch (IOException e) {
      closeQuietly(channel, e);
      throw new UserError(
          "Checkpoints cannot be written to %s: %s.".formatted(runFolder, FileFailure.reason(e)),
          e);
    }
    if (held == null) {
      UserError taken =
          new UserError(
              "Another run is writing its checkpoints to %s; end it or give another --save."
                  .formatted(runFolder));
      closeQuietly(channel, taken);
      throw taken;
    }
    return Objects.requireNonNull(channel);
  }

  private static void closeQuietly(@Nullable FileChannel channel, Exception cause) {
    try {
      if (channel != null) {
        channel.close();
      }
    } catch (IOException e) {
      cause.addSuppressed(e);
    }
  }

  private void clearLeftovers() throws IOException {
    for (Path replaced : CheckpointLayout.replaced(runFolder)) {
      Path original = CheckpointLayout.original(replaced);
      if (Files.exists(original)) {
        files.deleteTree(replaced);
      } else {
        files.rename(replaced, original);
        files.forceDirectory(runFolder);
      }
    }
    for (Path unfinished : CheckpointLayout.unfinished(runFolder)) {
      files.deleteTree(unfinished);
    }
    Path tracker = CheckpointFiles.temporary(runFolder.resolve(CheckpointLayout.TRACKER));
    if (Files.exists(tracker)) {
      files.delete(tracker);
    }
  }

  /** Gives the run folder back; closes no tensor. */
  @Override
  public void close() {
    try {
      lock.close();
    } catch (IOException e) {
      throw new UserError(
          "The lock on %s cannot be given back: %s.".formatted(runFolder, FileFailure.reason(e)),
          e);
    }
  }

  public Path runFolder() {
    return runFolder;
  }

  /**
   * Writes a checkpoint and returns when it is safely on the disk. One of the same iteration is
   * replaced.
   *
   * @return its folder
   * @throws UserError where the disk refuses or is full; earlier checkpoints are as they were, and
   *     nothing half-written is left
   */
  public Path save(CheckpointContents contents) {
    return save(contents, false);
  }

  /** As {@link #save}, sparing the processor while training goes on. */
  Path saveBesideTraining(CheckpointContents contents) {
    return save(contents, true);
  }

  private Path save(CheckpointContents contents, boolean besideTraining) {
    long iteration = contents.iteration();
    Path target = runFolder.resolve(CheckpointLayout.name(iteration));
    Path temporary = CheckpointLayout.temporary(runFolder, iteration);
    try {
      CheckpointEvent event = new CheckpointEvent();
      event.begin();
      long sequence = nextSequence();
      TemporaryFolder.fill(
          files,
          temporary,
          () -> {
            writeFiles(contents, new ChecksummedFolder(files, temporary, besideTraining), sequence);
            files.forceDirectory(temporary.resolve(CheckpointLayout.STATE));
            files.forceDirectory(temporary);
            commit(temporary, target, iteration);
          });
      event.iteration = iteration;
      event.folder = target.toString();
      event.bytes = contents.bytes();
      event.commit();
      finish(iteration);
      return target;
    } catch (IOException e) {
      throw saveFailed(contents, target, e);
    }
  }

  static void writeFiles(CheckpointContents contents, ChecksummedFolder folder, long sequence)
      throws IOException {
    folder.write(CheckpointLayout.ARGS, contents.argsBytes());
    folder.write(CheckpointLayout.TRACKER, trackerBytes(contents.iteration()));
    contents.model().writeInto(folder);
    folder.createSubfolder(CheckpointLayout.STATE);
    writeTensors(folder, CheckpointLayout.MAIN_PARAMETERS, contents.mainParameters());
    writeTensors(folder, CheckpointLayout.OPTIMIZER, contents.optimizer());
    folder.write(CheckpointLayout.TRAINER_STATE, contents.trainerState().toBytes());
    CheckpointManifest manifest =
        new CheckpointManifest(contents.iteration(), sequence, folder.entries());
    folder.write(CheckpointManifest.FILE_NAME, manifest.toBytes());
  }

  private static void writeTensors(
      ChecksummedFolder folder, String path, List<TensorSource> tensors) throws IOException {
    if (!tensors.isEmpty()) {
      folder.write(path, out -> SafetensorsWriter.write(tensors, out));
    }
  }

  /** Gives the finished folder its name; a checkpoint of that name waits aside meanwhile. */
  private void commit(Path temporary, Path target, long iteration) throws IOException {
    if (Files.exists(target)) {
      Path replaced = CheckpointLayout.replaced(runFolder, iteration);
      if (Files.exists(replaced)) {
        files.deleteTree(replaced);
      }
      files.rename(target, replaced);
    }
    files.rename(temporary, target);
    files.forceDirectory(runFolder);
  }

  /** What follows once the checkpoint is safe: the tracker, then the deletions. */
  private void finish(long iteration) throws IOException {
    files.replaceFile(runFolder.resolve(CheckpointLayout.TRACKER), trackerBytes(iteration));
    Path replaced = CheckpointLayout.replaced(runFolder, iteration);
    if (Files.exists(replaced)) {
      files.deleteTree(replaced);
    }
    List<Long> superseded = retention.superseded(runFolder, iteration);
    if (!superseded.isEmpty()) {
      requireGood(runFolder.resolve(CheckpointLayout.name(iteration)));
    }
    for (long other : superseded) {
      Path deleted = CheckpointLayout.deleted(runFolder, other);
      files.rename(runFolder.resolve(CheckpointLayout.name(other)), deleted);
      // Else a loss of power could bring the name back to a folder half deleted.
      files.forceDirectory(runFolder);
      files.deleteTree(deleted);
    }
  }

  /** Nothing is deleted in favour of a checkpoint that cannot be read back. */
  private static void requireGood(Path checkpoint) {
    try {
      CheckpointManifest.read(checkpoint).verify(checkpoint);
    } catch (DamagedCheckpointException e) {
      throw new UserError(
          "%s, just written, is damaged when read back (%s); check the disk (earlier checkpoints are"
                  .formatted(checkpoint, e.getMessage())
              + " untouched).",
          e);
    }
  }

  private long nextSequence() throws IOException {
    long highest = 0;
    for (Path checkpoint : CheckpointLayout.checkpoints(runFolder)) {
      try {
        highest = Math.max(highest, CheckpointManifest.read(checkpoint).sequence());
      } catch (DamagedCheckpointException e) {
        // One without a readable manifest is never loaded, so it needs no place in the order.
      }
    }
    return highest + 1;
  }

  private UserError saveFailed(CheckpointContents contents, Path target, IOException e) {
    long free = runFolder.toFile().getUsableSpace();
    String size = TemporaryFolder.readable(contents.bytes());
    return FileFailure.isDiskFull(e)
        ? new UserError(
            "The disk is full: %s needs %s and %s has %s left; make room or give another --save "
                    .formatted(target, size, runFolder, TemporaryFolder.readable(free))
                + "(earlier checkpoints are untouched).",
            e)
        : new UserError(
            "%s, which needs %s, cannot be written: %s (earlier checkpoints are untouched)."
                .formatted(target, size, FileFailure.reason(e)),
            e);
  }

  private static byte[] trackerBytes(long iteration) {
    return (iteration + "\n").getBytes(StandardCharsets.UTF_8);
  }
}
