package io.panatron.kernels.host;

import io.panatron.bindings.posix.AnonymousMemory;
import io.panatron.kernels.Device;
import io.panatron.kernels.DeviceMemory;
import io.panatron.kernels.OutOfDeviceMemoryException;
import io.panatron.kernels.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** The machine's main memory. */
public final class HostDevice implements Device {
  private final AnonymousMemory system = new AnonymousMemory();
  private final String description;

  public HostDevice(String description) {
    this.description = description;
  }

  @Override
  public String describe() {
    return description;
  }

  @Override
  @SuppressWarnings("MustBeClosedChecker") // the pool gives the memory back through free
  public DeviceMemory allocate(long bytes) {
    // Shared: worker threads of a backend read it. Closing one stops all threads for a moment,
    // which
    // only happens when the pool trims or closes.
    Arena arena = Arena.ofShared();
    try {
      return new HostMemory(arena, system.map(bytes, arena));
    } catch (OutOfMemoryError error) {
      arena.close();
      throw new OutOfDeviceMemoryException(
          "the host has no "
              + bytes
              + " bytes left for tensors; use a smaller model, micro batch or max_length",
          error);
    }
  }

  @Override
  public void free(DeviceMemory memory) {
    ((HostMemory) memory).arena().close();
  }

  @Override
  public void upload(MemorySegment from, Tensor to) {
    HostMemory.of(to).copyFrom(from.asSlice(0, to.bytes()));
  }

  @Override
  public void download(Tensor from, MemorySegment to) {
    to.copyFrom(HostMemory.of(from));
  }

  @Override
  public void close() {}
}
