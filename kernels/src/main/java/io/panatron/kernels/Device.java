package io.panatron.kernels;

import java.lang.foreign.MemorySegment;
import java.util.OptionalDouble;

/** A place with memory of its own: the host, or one GPU. */
public interface Device extends AutoCloseable {
  /** One line for the user, such as {@code cpu (2 threads, AVX-512)}. */
  String describe();

  /**
   * The most floating-point operations a second in this type that the maker states, without
   * sparsity; empty where nobody states it, as for processors, whose clock varies.
   */
  default OptionalDouble peakFlops(DType dtype) {
    return OptionalDouble.empty();
  }

  /**
   * Takes memory from the system; {@link MemoryPool} calls this rarely and recycles what it gets.
   *
   * @throws OutOfDeviceMemoryException if the device has no room, naming the bytes asked for
   */
  DeviceMemory allocate(long bytes);

  /** Gives memory back to the system. */
  void free(DeviceMemory memory);

  /** Copies {@code to.bytes()} bytes from the host; returns when {@code from} may be reused. */
  void upload(MemorySegment from, Tensor to);

  /** Copies {@code from.bytes()} bytes to the host; returns when {@code to} holds them. */
  void download(Tensor from, MemorySegment to);

  @Override
  void close();
}
