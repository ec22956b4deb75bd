package io.panatron.runtime.tensor;

import io.panatron.kernels.DType;
import io.panatron.kernels.Device;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Small transfers between Java arrays and tensors: ids, losses, logits. */
public final class HostTransfer {
  private HostTransfer() {}

  /** A new I32 tensor [values.length]. */
  public static Tensor upload(Device device, MemoryScope scope, String label, int[] values) {
    Tensor tensor = scope.allocate(label, DType.I32, values.length);
    try (Arena arena = Arena.ofConfined()) {
      device.upload(arena.allocateFrom(ValueLayout.JAVA_INT, values), tensor);
    }
    return tensor;
  }

  /** A new tensor [values.length] in F64 or F32. */
  public static Tensor upload(
      Device device, MemoryScope scope, String label, double[] values, DType dtype) {
    Tensor tensor = scope.allocate(label, dtype, values.length);
    write(device, values, tensor);
    return tensor;
  }

  /** Overwrites an F64 or F32 tensor with as many values as it has elements. */
  public static void write(Device device, double[] values, Tensor tensor) {
    if (values.length != tensor.elements()) {
      throw new IllegalArgumentException(values.length + " values for a tensor " + tensor);
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment host = arena.allocate(tensor.bytes(), Long.BYTES);
      switch (tensor.dtype()) {
        case F64 -> {
          for (int i = 0; i < values.length; i++) {
            host.setAtIndex(ValueLayout.JAVA_DOUBLE, i, values[i]);
          }
        }
        case F32 -> {
          for (int i = 0; i < values.length; i++) {
            host.setAtIndex(ValueLayout.JAVA_FLOAT, i, (float) values[i]);
          }
        }
        case BF16, F16, F8_E4M3, I16, I32 ->
            throw new IllegalArgumentException("cannot write doubles to " + tensor);
      }
      device.upload(host, tensor);
    }
  }

  /** The elements of an F64 or F32 tensor. */
  public static double[] download(Device device, Tensor tensor) {
    double[] values = new double[Math.toIntExact(tensor.elements())];
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment host = arena.allocate(Math.max(tensor.bytes(), 1), Long.BYTES);
      device.download(tensor, host);
      switch (tensor.dtype()) {
        case F64 -> {
          for (int i = 0; i < values.length; i++) {
            values[i] = host.getAtIndex(ValueLayout.JAVA_DOUBLE, i);
          }
        }
        case F32 -> {
          for (int i = 0; i < values.length; i++) {
            values[i] = host.getAtIndex(ValueLayout.JAVA_FLOAT, i);
          }
        }
        case BF16, F16, F8_E4M3, I16, I32 ->
            throw new IllegalArgumentException("cannot read doubles of " + tensor);
      }
    }
    return values;
  }
}
