package io.panatron.runtime.checkpoint;

import io.panatron.runtime.UserError;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.OptionalInt;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/**
 * Which checkpoints of a run folder stay once a newer one is safe.
 *
 * <p>The newest stays always, and so does the one that the run continues from, for as long as the
 * run lasts. A folder that is named like a checkpoint but has no manifest is somebody else's and is
 * left alone.
 *
 * @param interval {@code --save_retain_interval}: those at other iterations go; empty keeps all
 * @param limit {@code --save_total_limit}: so many stay, the newest; empty keeps all
 * @param resumedFrom the checkpoint that the run continues from; null where it starts afresh
 */
public record Retention(OptionalLong interval, OptionalInt limit, @Nullable Path resumedFrom) {
  /** Nothing is ever deleted. */
  public static final Retention ALL =
      new Retention(OptionalLong.empty(), OptionalInt.empty(), null);

  public Retention {
    if (interval.isPresent() && interval.getAsLong() <= 0) {
      throw new UserError(
          "--save_retain_interval %d must be positive.".formatted(interval.getAsLong()));
    }
    if (limit.isPresent() && limit.getAsInt() <= 0) {
      throw new UserError("--save_total_limit %d must be positive.".formatted(limit.getAsInt()));
    }
  }

  /** As {@code --save_retain_interval} says. */
  public static Retention atMultiplesOf(long interval) {
    return new Retention(OptionalLong.of(interval), OptionalInt.empty(), null);
  }

  /** As {@code --save_total_limit} says. */
  public static Retention newest(int limit) {
    return new Retention(OptionalLong.empty(), OptionalInt.of(limit), null);
  }

  /** The same, keeping the checkpoint that the run continues from. */
  public Retention keeping(@Nullable Path checkpoint) {
    return new Retention(interval, limit, checkpoint);
  }

  /**
   * The iterations whose checkpoints go, oldest first.
   *
   * @param newest iteration of the checkpoint just written, which is safe
   */
  List<Long> superseded(Path runFolder, long newest) throws IOException {
    record Known(long iteration, long sequence) {}
    List<Known> others = new ArrayList<>();
    for (Path checkpoint : CheckpointLayout.checkpoints(runFolder)) {
      long iteration = CheckpointLayout.iteration(checkpoint).orElseThrow();
      if (iteration != newest && Files.exists(checkpoint.resolve(CheckpointManifest.FILE_NAME))) {
        others.add(new Known(iteration, sequence(checkpoint)));
      }
    }
    others.sort(Comparator.comparingLong(Known::sequence).thenComparingLong(Known::iteration));
    int surplus = limit.isPresent() ? others.size() + 1 - limit.getAsInt() : 0;
    List<Long> superseded = new ArrayList<>();
    for (int i = 0; i < others.size(); i++) {
      long iteration = others.get(i).iteration();
      boolean between = interval.isPresent() && iteration % interval.getAsLong() != 0;
      if ((between || i < surplus) && !isResumedFrom(runFolder, iteration)) {
        superseded.add(iteration);
      }
    }
    return superseded;
  }

  /** One that cannot be read counts as the oldest: it is never loaded. */
  private static long sequence(Path checkpoint) {
    try {
      return CheckpointManifest.read(checkpoint).sequence();
    } catch (DamagedCheckpointException e) {
      return 0;
    }
  }

  private boolean isResumedFrom(Path runFolder, long iteration) throws IOException {
    Path kept = resumedFrom;
    return kept != null
        && Files.exists(kept)
        && Files.isSameFile(kept, runFolder.resolve(CheckpointLayout.name(iteration)));
  }
}
