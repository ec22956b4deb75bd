package io.panatron.tests.parity;

import io.panatron.kernels.Backend;
import io.panatron.kernels.DType;
import io.panatron.kernels.MemoryPool;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * A backend with checked memory, and the way to give it numbers and take them back.
 *
 * <p>New tensors hold NaN, so an output that is not overwritten shows; red zones are verified at
 * {@link #close}, so a write past a tensor fails the test too.
 */
public final class BackendUnderTest implements AutoCloseable {
  private final Backend backend;
  private final MemoryPool pool;
  private final MemoryScope scope;

  public BackendUnderTest(Backend backend) {
    this.backend = backend;
    this.pool = new MemoryPool(backend.device(), (bytes, reserved) -> {});
    this.scope = pool.scope("test", true);
  }

  public Backend backend() {
    return backend;
  }

  /** Where operations take their temporaries. */
  public MemoryScope scope() {
    return scope;
  }

  /** A tensor full of NaN. */
  public Tensor empty(DType dtype, long... extents) {
    return scope.allocate("output", dtype, extents);
  }

  /** A floating tensor of these values, rounded to its dtype. */
  public Tensor tensor(DType dtype, double[] values, long... extents) {
    Tensor tensor = scope.allocate("input", dtype, extents);
    write(tensor, values);
    return tensor;
  }

  public Tensor integers(int... values) {
    Tensor tensor = scope.allocate("input", DType.I32, values.length);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment host = arena.allocate(Math.max(1, tensor.bytes()), 8);
      MemorySegment.copy(values, 0, host, ValueLayout.JAVA_INT, 0, values.length);
      backend.device().upload(host, tensor);
    }
    return tensor;
  }

  /** Overwrites a tensor. */
  public void write(Tensor tensor, double[] values) {
    if (values.length != tensor.elements()) {
      throw new IllegalArgumentException(values.length + " values for " + tensor);
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment host = arena.allocate(Math.max(1, tensor.bytes()), 8);
      for (int i = 0; i < values.length; i++) {
        switch (tensor.dtype()) {
          case F64 -> host.setAtIndex(ValueLayout.JAVA_DOUBLE, i, values[i]);
          case F32 -> host.setAtIndex(ValueLayout.JAVA_FLOAT, i, (float) values[i]);
          case BF16, F16 ->
              host.setAtIndex(ValueLayout.JAVA_SHORT, i, Rounding.bits(tensor.dtype(), values[i]));
          case F8_E4M3 -> host.set(ValueLayout.JAVA_BYTE, i, Rounding.float8Bits(values[i]));
          case I16 -> host.setAtIndex(ValueLayout.JAVA_SHORT, i, (short) values[i]);
          case I32 -> throw new IllegalArgumentException("write integers by integers()");
        }
      }
      backend.device().upload(host, tensor);
    }
  }

  /** The elements of a floating tensor. */
  public double[] read(Tensor tensor) {
    double[] values = new double[Math.toIntExact(tensor.elements())];
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment host = arena.allocate(Math.max(1, tensor.bytes()), 8);
      backend.device().download(tensor, host);
      for (int i = 0; i < values.length; i++) {
        values[i] =
            switch (tensor.dtype()) {
              case F64 -> host.getAtIndex(ValueLayout.JAVA_DOUBLE, i);
              case F32 -> host.getAtIndex(ValueLayout.JAVA_FLOAT, i);
              case BF16, F16 ->
                  Rounding.widen(tensor.dtype(), host.getAtIndex(ValueLayout.JAVA_SHORT, i));
              case F8_E4M3 -> Rounding.float8Value(host.get(ValueLayout.JAVA_BYTE, i));
              case I16 -> host.getAtIndex(ValueLayout.JAVA_SHORT, i);
              case I32 -> host.getAtIndex(ValueLayout.JAVA_INT, i);
            };
      }
    }
    return values;
  }

  /** Ends the memory, verifying red zones; the backend stays open. */
  @Override
  public void close() {
    try (pool) {
      scope.close();
    }
  }
}
