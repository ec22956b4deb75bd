package io.panatron.kernels;

/**
 * One contiguous piece of a device's memory as its {@link Device} handed it out.
 *
 * <p>The address is a number, never a {@code MemorySegment}: code outside a backend cannot read it.
 */
public abstract class DeviceMemory {
  private final long address;
  private final long bytes;

  protected DeviceMemory(long address, long bytes) {
    this.address = address;
    this.bytes = bytes;
  }

  public final long address() {
    return address;
  }

  public final long bytes() {
    return bytes;
  }
}
