package io.panatron.runtime.checkpoint;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.panatron.runtime.UserError;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.OptionalLong;
import java.util.function.Consumer;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * A checkpoint found, every byte of it verified, ready to be loaded.
 *
 * <p>Parts may be missing by choice: {@code --no_save_optim} and {@code --no_save_rng}.
 */
public final class Checkpoint {
  private static final long MAX_ARGS_BYTES = 16L << 20;

  /** Folders of iterations, and what lies in them, in Megatron's formats torch_dist and torch. */
  private static final Pattern MEGATRON =
      Pattern.compile("iter_\\d{7}|release|.*\\.distcp|common\\.pt|mp_rank_\\d{2}.*");

  private final Path folder;
  private final CheckpointManifest manifest;

  private Checkpoint(Path folder, CheckpointManifest manifest) {
    this.folder = folder;
    this.manifest = manifest;
  }

  /**
   * Finds the checkpoint to resume from and reads all its bytes once to verify them.
   *
   * <p>Given a run folder it takes the newest. A torn or changed checkpoint is reported on one
   * warning line and the next older good one of the same run folder is used.
   *
   * @param load a {@code checkpoint-<n>} folder or a run folder
   * @param warnings receives one line for each damaged checkpoint passed over
   * @throws UserError where there is no checkpoint, or none that is good
   */
  public static Checkpoint open(Path load, Consumer<String> warnings) {
    Checkpoint found = find(load, warnings);
    if (found == null) {
      throw missing(load);
    }
    return found;
  }

  /** Whether a folder holds a checkpoint itself, good or not. */
  public static boolean isCheckpoint(Path folder) {
    return Files.exists(folder.resolve(CheckpointManifest.FILE_NAME));
  }

  /**
   * As {@link #open}, but null where there is none at all. Damaged ones are no reason to start
   * afresh.
   *
   * @throws UserError where there are checkpoints, but none that is good
   */
  public static @Nullable Checkpoint find(Path load, Consumer<String> warnings) {
    Path folder = load.toAbsolutePath().normalize();
    if (!Files.isDirectory(folder)) {
      return null;
    }
    List<String> damages = new ArrayList<>();
    for (Path candidate : candidates(folder, damages)) {
      try {
        CheckpointManifest manifest = CheckpointManifest.read(candidate);
        manifest.verify(candidate);
        for (String damage : damages) {
          warnings.accept("%s; %s is used instead.".formatted(damage, candidate.getFileName()));
        }
        return new Checkpoint(candidate, manifest);
      } catch (DamagedCheckpointException e) {
        damages.add(damage(candidate, e));
      }
    }
    if (damages.isEmpty()) {
      return null;
    }
    throw noneGood(load, damages);
  }

  /** What to say where {@link #find} found none. */
  public static UserError missing(Path load) {
    Path folder = load.toAbsolutePath().normalize();
    return Files.isDirectory(folder)
        ? noCheckpoint(folder)
        : new UserError("--load %s is not a folder.".formatted(load));
  }

  /** The folders to try, the newest first; what already is known to be damaged goes to the list. */
  private static List<Path> candidates(Path folder, List<String> damages) {
    OptionalLong iteration = CheckpointLayout.iteration(folder);
    boolean named = isCheckpoint(folder);
    try {
      if (iteration.isPresent()) {
        List<Path> candidates = new ArrayList<>(List.of(folder));
        Path parent = folder.getParent();
        if (parent != null) {
          List<Path> older =
              CheckpointLayout.checkpoints(parent).stream()
                  .filter(sibling ->
                      CheckpointLayout.iteration(sibling).orElseThrow() < iteration.getAsLong())
                  .toList();
          // Their damage is told only when they are needed, so it is not collected here.
          candidates.addAll(newestFirst(older, new ArrayList<>()));
        }
        return candidates;
      }
      if (named) {
        return List.of(folder);
      }
      List<Path> all = new ArrayList<>(CheckpointLayout.checkpoints(folder));
      for (Path replaced : CheckpointLayout.replaced(folder)) {
        if (!Files.exists(CheckpointLayout.original(replaced))) {
          all.add(replaced);
        }
      }
      return newestFirst(all, damages);
    } catch (IOException e) {
      throw new UserError("%s cannot be listed: %s.".formatted(folder, FileFailure.reason(e)), e);
    }
  }

  private static List<Path> newestFirst(List<Path> folders, List<String> damages) {
    record Found(Path folder, long sequence) {}
    List<Found> found = new ArrayList<>();
    for (Path folder : folders) {
      try {
        found.add(new Found(folder, CheckpointManifest.read(folder).sequence()));
      } catch (DamagedCheckpointException e) {
        damages.add(damage(folder, e));
      }
    }
    found.sort(Comparator.comparingLong(Found::sequence).reversed());
    return found.stream().map(Found::folder).toList();
  }

  private static String damage(Path candidate, DamagedCheckpointException e) {
    return "%s is damaged (%s)".formatted(candidate, e.getMessage());
  }

  private static UserError noneGood(Path load, List<String> damages) {
    return new UserError(
        "--load %s holds no good checkpoint: %s."
            .formatted(load, WeightMismatch.listed(damages, 5)));
  }

  private static UserError noCheckpoint(Path folder) {
    List<String> runs = List.of();
    try (Stream<Path> files = Files.list(folder)) {
      List<String> names = files.map(file -> String.valueOf(file.getFileName())).sorted().toList();
      for (String name : names) {
        if (MEGATRON.matcher(name).matches()) {
          return new UserError(
              "--load %s holds files of Megatron itself (%s), which are pickles and are not read; make a Hugging Face model of them with Megatron-SWIFT's export, and give that as --model."
                  .formatted(folder, name));
        }
      }
      runs = names.stream().filter(RunFolder::isVersionName).toList();
    } catch (IOException e) {
      return new UserError("%s cannot be listed: %s.".formatted(folder, FileFailure.reason(e)), e);
    }
    return runs.isEmpty()
        ? new UserError(
            "--load %s holds no checkpoint-<n> folder; to start from Hugging Face weights, use --model."
                .formatted(folder))
        : new UserError(
            "--load %s holds the runs %s but no checkpoint of its own; name one of them."
                .formatted(folder, WeightMismatch.listed(runs, 5)));
  }

  /** The checkpoint's folder, which is a Hugging Face model folder too. */
  public Path folder() {
    return folder;
  }

  /** The iteration it was saved after. */
  public long iteration() {
    return manifest.iteration();
  }

  /** The saved run's arguments. */
  public ObjectNode args() {
    return BoundedJson.readObject(folder.resolve(CheckpointLayout.ARGS), MAX_ARGS_BYTES);
  }

  /** Position in data, schedule and random streams; its random states may be empty. */
  public TrainerState trainerState() {
    return TrainerState.read(folder.resolve(CheckpointLayout.TRAINER_STATE));
  }

  /** Maps the weights in the model's dtype. */
  public ModelWeights openWeights(Arena arena) {
    return ModelWeights.open(folder, arena);
  }

  /** Maps the fp32 main parameters; null where the weights themselves are fp32, or not saved. */
  public @Nullable SafetensorsFile openMainParameters(Arena arena) {
    return openIfSaved(CheckpointLayout.MAIN_PARAMETERS, arena);
  }

  /** Maps the optimizer's state; null after {@code --no_save_optim}. */
  public @Nullable SafetensorsFile openOptimizer(Arena arena) {
    return openIfSaved(CheckpointLayout.OPTIMIZER, arena);
  }

  private @Nullable SafetensorsFile openIfSaved(String path, Arena arena) {
    boolean saved = manifest.files().stream().anyMatch(file -> file.path().equals(path));
    return saved ? SafetensorsFile.open(folder.resolve(path), arena) : null;
  }
}
