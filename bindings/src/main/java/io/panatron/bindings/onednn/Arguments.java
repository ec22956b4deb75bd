package io.panatron.bindings.onednn;

import io.panatron.bindings.onednn.generated.OneDnnC;
import io.panatron.bindings.onednn.generated.dnnl_exec_arg_t;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * The argument array of one primitive on one thread, filled once; between executions only addresses
 * change. Belongs to the thread that made it.
 */
final class Arguments implements AutoCloseable {
  private final Arena arena = Arena.ofConfined();
  private final MemorySegment array;
  private final MemorySegment[] memories;
  private final long[] addresses;

  /**
   * Fills the array.
   *
   * @param roles oneDNN's number for what each argument is
   * @param memories memory objects that have no address yet; there may be fewer of them than roles
   */
  Arguments(int[] roles, MemorySegment[] memories) {
    this.memories = memories;
    addresses = new long[memories.length];
    array = dnnl_exec_arg_t.allocateArray(memories.length, arena);
    for (int i = 0; i < memories.length; i++) {
      MemorySegment element = dnnl_exec_arg_t.asSlice(array, i);
      dnnl_exec_arg_t.arg(element, roles[i]);
      dnnl_exec_arg_t.memory(element, memories[i]);
    }
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
        OneDnnC.dnnl_primitive_execute(primitive, order, memories.length, array),
        "dnnl_primitive_execute",
        description);
    Status.check(OneDnnC.dnnl_stream_wait(order), "dnnl_stream_wait", description);
  }

  @Override
  public void close() {
    arena.close();
  }
}
