package io.panatron.bindings.onednn;

import io.panatron.bindings.onednn.generated.OneDnnC;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** An order of execution. Each worker thread has its own and closes it last. */
public final class OneDnnStream implements AutoCloseable {
  private final MemorySegment handle;
  private boolean open = true;

  OneDnnStream(MemorySegment engine) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment out = arena.allocate(OneDnnC.C_POINTER);
      int status = OneDnnC.dnnl_stream_create(out, engine, OneDnnC.dnnl_stream_in_order());
      Status.check(status, "dnnl_stream_create", "in order");
      handle = out.get(OneDnnC.C_POINTER, 0);
    }
  }

  MemorySegment handle() {
    if (!open) {
      throw new IllegalStateException("the stream is closed");
    }
    return handle;
  }

  @Override
  public void close() {
    if (open) {
      open = false;
      Status.check(OneDnnC.dnnl_stream_destroy(handle), "dnnl_stream_destroy", "");
    }
  }
}
