package io.panatron.runtime.observe;

import jdk.jfr.Category;
import jdk.jfr.DataAmount;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;
import jdk.jfr.Timespan;

/** Forward and backward pass of one micro-batch. */
@Name("panatron.MicroBatch")
@Label("Micro-Batch")
@Category({"Panatron", "Training"})
@StackTrace(false)
public final class MicroBatchEvent extends Event {
  @Label("Iteration")
  public long iteration;

  @Label("Index")
  public int index;

  @Label("Sequences")
  public int sequences;

  @Label("Tokens")
  public int tokens;

  @Label("Forward")
  @Timespan(Timespan.NANOSECONDS)
  public long forwardNanos;

  @Label("Peak Activation Memory")
  @DataAmount
  public long peakBytes;

  /** An event that begins when {@link #begin} says so. */
  public MicroBatchEvent() {}
}
