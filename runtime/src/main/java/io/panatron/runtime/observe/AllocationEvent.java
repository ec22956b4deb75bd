package io.panatron.runtime.observe;

import jdk.jfr.Category;
import jdk.jfr.DataAmount;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;

/** The memory pool taking a region from the system: none in steady state. */
@Name("panatron.Allocation")
@Label("Device Memory Allocation")
@Category({"Panatron", "Memory"})
public final class AllocationEvent extends Event {
  @Label("Bytes")
  @DataAmount
  public long bytes;

  @Label("Reserved")
  @DataAmount
  public long reservedBytes;

  /** An event that begins when {@link #begin} says so. */
  public AllocationEvent() {}

  /** Emits one event; the listener to give to a memory pool. */
  public static void emit(long bytes, long reservedBytes) {
    AllocationEvent event = new AllocationEvent();
    event.bytes = bytes;
    event.reservedBytes = reservedBytes;
    event.commit();
  }
}
