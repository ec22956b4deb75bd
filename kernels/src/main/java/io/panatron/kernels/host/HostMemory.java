package io.panatron.kernels.host;

import io.panatron.kernels.DeviceMemory;
import io.panatron.kernels.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** Host memory that a {@link HostDevice} allocated; the way from a tensor to readable bytes. */
public final class HostMemory extends DeviceMemory {
  private final Arena arena;
  private final MemorySegment segment;

  HostMemory(Arena arena, MemorySegment segment) {
    super(segment.address(), segment.byteSize());
    this.arena = arena;
    this.segment = segment;
  }

  Arena arena() {
    return arena;
  }

  /**
   * The tensor's elements, bounds included: an index past the tensor throws.
   *
   * @throws ClassCastException if the tensor lies on another device
   */
  public static MemorySegment of(Tensor tensor) {
    HostMemory memory = (HostMemory) tensor.buffer().memory();
    return memory.segment.asSlice(tensor.buffer().memoryOffset() + tensor.offset(), tensor.bytes());
  }
}
