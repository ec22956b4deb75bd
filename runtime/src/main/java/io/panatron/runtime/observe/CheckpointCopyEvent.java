package io.panatron.runtime.observe;

import jdk.jfr.Category;
import jdk.jfr.DataAmount;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/** Copying a checkpoint's tensors to host memory, from which {@code --async_save} writes them. */
@Name("panatron.CheckpointCopy")
@Label("Checkpoint Copy")
@Category({"Panatron", "Checkpoint"})
@StackTrace(false)
public final class CheckpointCopyEvent extends Event {
  @Label("Iteration")
  public long iteration;

  @Label("Bytes")
  @DataAmount
  public long bytes;

  /** An event that begins when {@link #begin} says so. */
  public CheckpointCopyEvent() {}
}
