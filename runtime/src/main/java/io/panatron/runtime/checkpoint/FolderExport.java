package io.panatron.runtime.checkpoint;

import io.panatron.runtime.UserError;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * A folder that an export writes as a whole: it appears under its name when every file is on the
 * disk and has been found good, and a folder that it replaces is gone only then.
 *
 * <p>Everything is written beside the folder, under a hidden name with the number of the process.
 * What a process that is gone has left there is cleared, and a folder that it had moved aside gets
 * its name back.
 */
public final class FolderExport {
  private static final int LISTED = 5;

  /** What an export writes, and a training run; anything else in a folder is somebody's. */
  private static final Pattern OURS =
      Pattern.compile(
          "config\\.json|args\\.json|manifest\\.json|latest_checkpointed_iteration\\.txt|state"
              + "|model(-\\d{5}-of-\\d{5})?\\.safetensors|model\\.safetensors\\.index\\.json");

  private final Path target;
  private final boolean replaces;
  private final CheckpointFiles files;

  /**
   * @param target the folder to be
   * @param replaces whether one that is there already may be replaced
   */
  public FolderExport(Path target, boolean replaces) {
    this(target, replaces, CheckpointFiles.SYSTEM);
  }

  FolderExport(Path target, boolean replaces, CheckpointFiles files) {
    this.target = target.toAbsolutePath().normalize();
    this.replaces = replaces;
    this.files = files;
  }

  /** The folder to be. */
  public Path target() {
    return target;
  }

  /**
   * Looks whether the folder can be written, before any work is done, and clears what an export
   * that died left.
   *
   * @param source the folder that is exported
   * @throws UserError where the target exists and may not be replaced, holds what an export does
   *     not write, or has to do with the source
   */
  public void prepare(Path source) {
    try {
      Path name = target.getFileName();
      if (name == null || target.getParent() == null) {
        throw new UserError("--save %s is no folder to write; name another.".formatted(target));
      }
      clearLeftovers();
      if (!Files.exists(target, LinkOption.NOFOLLOW_LINKS)) {
        return;
      }
      if (!Files.isDirectory(target, LinkOption.NOFOLLOW_LINKS)) {
        throw new UserError("--save %s exists and is no folder; name another.".formatted(target));
      }
      Path real = target.toRealPath();
      Path from = source.toRealPath();
      if (real.startsWith(from) || from.startsWith(real)) {
        throw new UserError(
            "--save %s and the folder that is exported, %s, are the same or one lies in the other; name another."
                .formatted(target, source));
      }
      if (!replaces) {
        throw new UserError(
            "--save %s exists already; name another, or add --exist_ok true to replace it."
                .formatted(target));
      }
      requireOnlyExported();
    } catch (IOException e) {
      throw new UserError(
          "--save %s cannot be looked at: %s.".formatted(target, FileFailure.reason(e)), e);
    }
  }

  /** Nobody's other files go with a mistyped name. */
  private void requireOnlyExported() throws IOException {
    List<String> strange;
    try (Stream<Path> all = Files.list(target)) {
      strange =
          all.map(file -> String.valueOf(file.getFileName()))
              .filter(name -> !OURS.matcher(name).matches() && !ModelFolderFiles.isCompanion(name))
              .sorted()
              .toList();
    }
    if (!strange.isEmpty()) {
      throw new UserError(
          "--save %s holds what an export does not write (%s), so --exist_ok true does not replace it; name another, or empty it."
              .formatted(target, WeightMismatch.listed(strange, LISTED)));
    }
  }

  private void clearLeftovers() throws IOException {
    Path parent = Objects.requireNonNull(target.getParent());
    if (!Files.isDirectory(parent)) {
      return;
    }
    Pattern ours =
        Pattern.compile(
            "\\." + Pattern.quote(target.getFileName() + "") + "\\.export-(\\d{1,18})\\.(tmp|old)");
    List<Path> found;
    try (Stream<Path> all = Files.list(parent)) {
      found = all.filter(file -> ours.matcher(file.getFileName() + "").matches()).sorted().toList();
    }
    for (Path leftover : found) {
      Matcher matcher = ours.matcher(leftover.getFileName() + "");
      if (!matcher.matches()
          || ProcessHandle.of(Long.parseLong(matcher.group(1)))
              .filter(process -> !process.equals(ProcessHandle.current()))
              .isPresent()) {
        continue;
      }
      if (matcher.group(2).equals("old") && !Files.exists(target)) {
        files.rename(leftover, target);
        files.forceDirectory(parent);
      } else {
        files.deleteTree(leftover);
      }
    }
  }

  private Path beside(String end) {
    return target.resolveSibling(
        ".%s.export-%d.%s".formatted(target.getFileName(), ProcessHandle.current().pid(), end));
  }

  /**
   * Writes a Hugging Face model folder.
   *
   * @param check looks at the finished folder before it gets its name; what it throws leaves
   *     nothing behind
   * @throws UserError where the disk refuses or is full
   */
  public void write(HfModelFolder model, Consumer<Path> check) {
    write(model.bytes(), model::writeInto, check);
  }

  /**
   * Writes a checkpoint that a run can load.
   *
   * @param check as for {@link #write(HfModelFolder, Consumer)}
   */
  public void write(CheckpointContents checkpoint, Consumer<Path> check) {
    write(checkpoint.bytes(), folder -> CheckpointStore.writeFiles(checkpoint, folder, 1), check);
  }

  @FunctionalInterface
  private interface Filling {
    void fill(ChecksummedFolder folder) throws IOException;
  }

  private void write(long bytes, Filling filling, Consumer<Path> check) {
    Path temporary = beside("tmp");
    try {
      Path parent = Objects.requireNonNull(target.getParent());
      Files.createDirectories(parent);
      TemporaryFolder.fill(
          files,
          temporary,
          () -> {
            filling.fill(new ChecksummedFolder(files, temporary));
            Path state = temporary.resolve(CheckpointLayout.STATE);
            if (Files.exists(state)) {
              files.forceDirectory(state);
            }
            files.forceDirectory(temporary);
            check.accept(temporary);
            commit(temporary);
          });
    } catch (IOException e) {
      throw failed(bytes, e);
    }
  }

  private void commit(Path temporary) throws IOException {
    Path parent = Objects.requireNonNull(target.getParent());
    Path old = beside("old");
    boolean replaced = replaces && Files.exists(target);
    if (replaced) {
      files.rename(target, old);
    }
    try {
      files.rename(temporary, target);
    } catch (IOException | RuntimeException e) {
      if (replaced) {
        files.rename(old, target);
      }
      throw e;
    }
    files.forceDirectory(parent);
    if (replaced) {
      files.deleteTree(old);
    }
  }

  private UserError failed(long bytes, IOException e) {
    return new UserError(
        "%s, which needs %s, cannot be written: %s (nothing of it is left, and what stood there before is untouched)."
            .formatted(target, TemporaryFolder.readable(bytes), FileFailure.reason(e)),
        e);
  }
}
