package io.panatron.bindings.onednn;

import io.panatron.bindings.onednn.generated.OneDnnC;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.function.ToIntFunction;

/**
 * The oneDNN objects that one owner has made so far, destroyed in reverse order. Lets a constructor
 * that fails halfway leave nothing behind.
 */
final class NativeHandles implements AutoCloseable {
  private record Owned(
      MemorySegment handle, String function, ToIntFunction<MemorySegment> destroy) {}

  /** A C function that writes the handle of a new object to its argument and returns a status. */
  @FunctionalInterface
  interface Creator {
    int create(MemorySegment out);
  }

  private final Deque<Owned> owned = new ArrayDeque<>();

  MemorySegment create(
      String function,
      Object arguments,
      Creator creator,
      String destroyFunction,
      ToIntFunction<MemorySegment> destroy) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment out = arena.allocate(OneDnnC.C_POINTER);
      Status.check(creator.create(out), function, arguments);
      MemorySegment handle = out.get(OneDnnC.C_POINTER, 0);
      owned.push(new Owned(handle, destroyFunction, destroy));
      return handle;
    }
  }

  /** Destroys everything. Repeating it does nothing. */
  @Override
  public void close() {
    while (!owned.isEmpty()) {
      Owned last = owned.pop();
      Status.check(last.destroy.applyAsInt(last.handle), last.function, "");
    }
  }

  MemorySegment memoryDescription(Matrix matrix, boolean batched, boolean anyLayout) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment sizes = longs(arena, batched, matrix.batch(), matrix.rows(), matrix.columns());
      MemorySegment strides =
          longs(arena, batched, matrix.batchStride(), matrix.rowStride(), matrix.columnStride());
      int type = matrix.type().code();
      int rank = batched ? 3 : 2;
      return create(
          anyLayout ? "dnnl_memory_desc_create_with_tag" : "dnnl_memory_desc_create_with_strides",
          matrix,
          out ->
              anyLayout
                  ? OneDnnC.dnnl_memory_desc_create_with_tag(
                      out, rank, sizes, type, OneDnnC.dnnl_format_tag_any())
                  : OneDnnC.dnnl_memory_desc_create_with_strides(out, rank, sizes, type, strides),
          "dnnl_memory_desc_destroy",
          OneDnnC::dnnl_memory_desc_destroy);
    }
  }

  /** A memory object that has no address yet. */
  MemorySegment memory(MemorySegment description, MemorySegment engine) {
    return create(
        "dnnl_memory_create",
        "no address",
        out -> OneDnnC.dnnl_memory_create(out, description, engine, MemorySegment.NULL),
        "dnnl_memory_destroy",
        OneDnnC::dnnl_memory_destroy);
  }

  private static MemorySegment longs(
      SegmentAllocator allocator, boolean batched, long batch, long rows, long columns) {
    return batched
        ? allocator.allocateFrom(OneDnnC.C_LONG, batch, rows, columns)
        : allocator.allocateFrom(OneDnnC.C_LONG, rows, columns);
  }
}
