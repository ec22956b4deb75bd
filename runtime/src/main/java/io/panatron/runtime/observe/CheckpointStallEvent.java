package io.panatron.runtime.observe;

import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/** The training thread held up by a checkpoint. */
@Name("panatron.CheckpointStall")
@Label("Checkpoint Stall")
@Description("Time the training thread spent on, or waited for, a checkpoint")
@Category({"Panatron", "Checkpoint"})
@StackTrace(false)
public final class CheckpointStallEvent extends Event {
  @Label("Iteration")
  public long iteration;

  @Label("Reason")
  @Description(
      "save: beginning a save, or all of it without --async_save; copy: the copy was not"
          + " finished when parameters had to change; end: waiting for the last writes")
  public String reason = "";

  /** An event that begins when {@link #begin} says so. */
  public CheckpointStallEvent() {}
}
