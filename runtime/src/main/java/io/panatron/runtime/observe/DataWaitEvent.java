package io.panatron.runtime.observe;

import jdk.jfr.Category;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/** The training thread waiting for a micro-batch that was not ready. */
@Name("panatron.DataWait")
@Label("Data Wait")
@Category({"Panatron", "Data"})
@StackTrace(false)
public final class DataWaitEvent extends Event {
  @Label("Iteration")
  public long iteration;

  /** An event that begins when {@link #begin} says so. */
  public DataWaitEvent() {}
}
