package io.panatron.bindings.onednn;

import io.panatron.bindings.onednn.generated.OneDnnC;
import io.panatron.bindings.onednn.generated.dnnl_exec_arg_t;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * The argument array of one primitive on one thread, filled once; between executions only addresses change. Belongs to
 * the thread that made it.
 */
final class Arguments implements AutoCloseable {
  private final Arena arena = Arena.ofConfined();
  private final MemorySegment array;
  private final MemorySegment[] memories;
  private final long[] addresses;
  private int count;

  Arguments(int capacity) {
    array = dnnl_exec_arg_t.allocateArray(capacity, arena);
    memories = new MemorySegment[capacity];
    addresses = new long[capacity];
  }

  /** Adds an argument whose memory object has no address yet. */
  void add(int role, MemorySegment memory) {
    MemorySegment element = dnnl_exec_arg_t.asSlice(array, count);
    dnnl_exec_arg_t.arg(element, role);
    dnnl_exec_arg_t.memory(element, memory);
    memories[count++] = memory;
  }

  /** Sets an argument's address. An address that is already there costs no call. */
  void address(int index, long address) {
    if (addresses[index] != address) {
      int status =
          OneDnnC.dnnl_memory_set_data_handle(memories[index], MemorySegment.ofAddress(address));
      Status.check(status, "dnnl_memory_set_data_handle", address);
      addresses[index] = address;
    }
  }

  /** Runs the primitive and waits for its end. */
  void execute(MemorySegment primitive, OneDnnStream stream, Object description) {
    MemorySegment order = stream.handle();
    Status.check(
        OneDnnC.dnnl_primitive_execute(primitive, order, count, array),
        "dnnl_primitive_execute",
        description);
    Status.check(OneDnnC.dnnl_stream_wait(order), "dnnl_stream_wait", description);
  }

  @Override
  public void close() {
    arena.close();
  }
}
