package io.panatron.runtime.observe;

import jdk.jfr.Category;
import jdk.jfr.DataAmount;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/**
 * Writing one checkpoint, from the first byte to the rename; on a thread of its own with {@code
 * --async_save}.
 */
@Name("panatron.Checkpoint")
@Label("Checkpoint")
@Category({"Panatron", "Checkpoint"})
@StackTrace(false)
public final class CheckpointEvent extends Event {
  @Label("Iteration")
  public long iteration;

  @Label("Folder")
  public String folder = "";

  @Label("Bytes")
  @DataAmount
  public long bytes;

  /** An event that begins when {@link #begin} says so. */
  public CheckpointEvent() {}
}
