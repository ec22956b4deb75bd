package io.panatron.runtime.train;

/** Where the loop's checkpoints go. */
@FunctionalInterface
public interface CheckpointSink {
  /**
   * Writes a complete checkpoint and returns its folder; what was there before stays until then.
   */
  String save(Progress progress);
}
