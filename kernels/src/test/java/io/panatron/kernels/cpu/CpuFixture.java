package io.panatron.kernels.cpu;

import io.panatron.bindings.NativeLibraries;
import io.panatron.kernels.DType;
import io.panatron.kernels.MemoryPool;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.host.HostDevice;
import io.panatron.kernels.host.HostMemory;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.SplittableRandom;

/**
 * Workers with checked memory, and tensors of repeatable numbers that BF16 and F16 hold exactly.
 */
final class CpuFixture implements AutoCloseable {
  private final MemoryPool pool = new MemoryPool(new HostDevice("test"), (bytes, reserved) -> {});
  private final MemoryScope scope = pool.scope("test", true);
  private final SplittableRandom random = new SplittableRandom(20);
  private final CpuWorkers workers;

  CpuFixture(int threads) {
    this(threads, MatmulEngine.HalfProducts.DETECTED);
  }

  CpuFixture(int threads, MatmulEngine.HalfProducts halves) {
    workers = new CpuWorkers(threads, NativeLibraries.cacheFolder(System.getenv()), halves);
  }

  CpuWorkers workers() {
    return workers;
  }

  MemoryScope scope() {
    return scope;
  }

  /** Normal numbers of this deviation, rounded to BF16 whatever the dtype. */
  Tensor normal(DType dtype, double deviation, long... extents) {
    Tensor tensor = scope.allocate("normal", dtype, extents);
    MemorySegment segment = HostMemory.of(tensor);
    for (long i = 0; i < tensor.elements(); i++) {
      int bits = Float.floatToIntBits((float) (random.nextGaussian() * deviation)) & 0xFFFF0000;
      if (dtype == DType.BF16) {
        segment.setAtIndex(ValueLayout.JAVA_SHORT, i, (short) (bits >>> 16));
      } else if (dtype == DType.F16) {
        short half = Float.floatToFloat16(Float.intBitsToFloat(bits));
        segment.setAtIndex(ValueLayout.JAVA_SHORT, i, half);
      } else {
        segment.setAtIndex(ValueLayout.JAVA_INT, i, bits);
      }
    }
    return tensor;
  }

  /** These numbers, all of which BF16 must hold exactly. */
  Tensor numbers(DType dtype, float[] values, long... extents) {
    Tensor tensor = scope.allocate("numbers", dtype, extents);
    TileRows.write(
        dtype, MemorySegment.ofArray(values), 0, HostMemory.of(tensor), 0, values.length, 1);
    return tensor;
  }

  /** Labels from -1 (ignored) to {@code vocab - 1}. */
  Tensor labels(int tokens, int vocab) {
    Tensor tensor = scope.allocate("labels", DType.I32, tokens);
    for (int t = 0; t < tokens; t++) {
      int label = t % 5 == 3 ? -1 : random.nextInt(vocab);
      HostMemory.of(tensor).setAtIndex(ValueLayout.JAVA_INT, t, label);
    }
    return tensor;
  }

  /** The same numbers in F32. */
  Tensor widened(Tensor tensor) {
    Tensor copy = scope.allocate("copy", DType.F32, tensor.shape());
    TileRows.read(
        tensor.dtype(),
        HostMemory.of(tensor),
        0,
        HostMemory.of(copy),
        0,
        Math.toIntExact(tensor.elements()),
        1);
    return copy;
  }

  float[] read(Tensor tensor) {
    return HostMemory.of(widened(tensor)).toArray(ValueLayout.JAVA_FLOAT);
  }

  @Override
  public void close() {
    scope.close();
    pool.close();
    workers.close();
  }
}
