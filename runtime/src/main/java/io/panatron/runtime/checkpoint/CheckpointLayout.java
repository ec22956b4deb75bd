package io.panatron.runtime.checkpoint;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** The names of a run folder's and a checkpoint's files. */
final class CheckpointLayout {
  static final String TRACKER = "latest_checkpointed_iteration.txt";
  static final String ARGS = "args.json";
  static final String STATE = "state";
  static final String MAIN_PARAMETERS = STATE + "/parameters.safetensors";
  static final String OPTIMIZER = STATE + "/optimizer.safetensors";
  static final String TRAINER_STATE = STATE + "/trainer_state.json";
  static final String WRITER_LOCK = ".checkpoint-writer.lock";

  private static final Pattern CHECKPOINT = Pattern.compile("checkpoint-(\\d{1,18})");
  private static final Pattern UNFINISHED =
      Pattern.compile("\\.checkpoint-\\d{1,18}(-merged)?\\.(tmp|deleted)");
  private static final Pattern REPLACED = Pattern.compile("\\.(checkpoint-\\d{1,18})\\.old");

  private CheckpointLayout() {}

  static String name(long iteration) {
    return "checkpoint-" + iteration;
  }

  /** The folder a checkpoint is written in before it gets its name. */
  static Path temporary(Path runFolder, long iteration) {
    return runFolder.resolve("." + name(iteration) + ".tmp");
  }

  /** Where the model with a checkpoint's adapter merged into it is. */
  static Path merged(Path runFolder, long iteration) {
    return runFolder.resolve(name(iteration) + "-merged");
  }

  /** Where a checkpoint is moved before it is deleted. */
  static Path deleted(Path runFolder, long iteration) {
    return runFolder.resolve("." + name(iteration) + ".deleted");
  }

  /** Where a checkpoint waits while another of the same iteration takes its name. */
  static Path replaced(Path runFolder, long iteration) {
    return runFolder.resolve("." + name(iteration) + ".old");
  }

  /** The iteration of a folder named {@code checkpoint-<iteration>}. */
  static OptionalLong iteration(Path folder) {
    Path name = folder.getFileName();
    Matcher matcher = CHECKPOINT.matcher(name == null ? "" : name.toString());
    return matcher.matches()
        ? OptionalLong.of(Long.parseLong(matcher.group(1)))
        : OptionalLong.empty();
  }

  /** All folders named {@code checkpoint-<iteration>}, good or not. */
  static List<Path> checkpoints(Path runFolder) throws IOException {
    return folders(runFolder, CHECKPOINT);
  }

  /** What a writer that died may have left: nothing in it is needed. */
  static List<Path> unfinished(Path runFolder) throws IOException {
    return folders(runFolder, UNFINISHED);
  }

  /** Checkpoints that a writer that died had moved aside. */
  static List<Path> replaced(Path runFolder) throws IOException {
    return folders(runFolder, REPLACED);
  }

  /** The real place of a checkpoint that was moved aside. */
  static Path original(Path replaced) {
    Matcher matcher = REPLACED.matcher(String.valueOf(replaced.getFileName()));
    if (!matcher.matches()) {
      throw new IllegalArgumentException(replaced + " is no checkpoint moved aside");
    }
    return replaced.resolveSibling(matcher.group(1));
  }

  private static List<Path> folders(Path runFolder, Pattern pattern) throws IOException {
    try (Stream<Path> files = Files.list(runFolder)) {
      return files
          .filter(file -> pattern.matcher(String.valueOf(file.getFileName())).matches())
          .filter(file -> Files.isDirectory(file, LinkOption.NOFOLLOW_LINKS))
          .sorted()
          .toList();
    }
  }
}
