package io.panatron.runtime.train;

import java.nio.file.Path;

/** Where the loop's checkpoints go. */
@FunctionalInterface
public interface CheckpointSink {
  /**
   * Writes a complete checkpoint and returns its folder; what was there before stays until then.
   */
  Path save(Progress progress);
}
