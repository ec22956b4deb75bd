package io.panatron.runtime.observe;

import jdk.jfr.Category;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/**
 * One pass of a micro-batch through a model chunk of a pipeline rank; waiting is not part of it.
 */
@Name(PipelineSlotEvent.NAME)
@Label("Pipeline Slot")
@Category({"Panatron", "Parallel"})
@StackTrace(false)
public final class PipelineSlotEvent extends Event {
  /** The event's name in a recording. */
  public static final String NAME = "panatron.PipelineSlot";

  /** {@link #kind} of a forward pass. */
  public static final String FORWARD = "forward";

  /** {@link #kind} of a backward pass. */
  public static final String BACKWARD = "backward";

  @Label("Iteration")
  public long iteration;

  @Label("Rank")
  public int rank;

  @Label("Pipeline Rank")
  public int pipelineRank;

  @Label("Chunk")
  public int chunk;

  @Label("Micro-Batch")
  public int microBatch;

  @Label("Kind")
  public String kind = FORWARD;

  /** An event that begins when {@link #begin} says so. */
  public PipelineSlotEvent() {}
}
