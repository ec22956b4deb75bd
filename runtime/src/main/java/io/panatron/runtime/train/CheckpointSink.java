package io.panatron.runtime.train;

import java.nio.file.Path;
import java.util.List;

/** Where the loop's checkpoints go. */
public interface CheckpointSink {
  /** A complete checkpoint, safely on the disk. */
  record Saved(Progress progress, Path folder) {}

  /** Saves, or begins to; what was there before stays until the new checkpoint is safe. */
  void save(Progress progress);

  /**
   * What has become safe since the last call, oldest first; does not wait.
   *
   * @throws io.panatron.runtime.UserError where a checkpoint could not be written
   */
  List<Saved> takeSaved();

  /** As {@link #takeSaved}, but waits until nothing is left to be written. */
  List<Saved> finish();
}
