package io.panatron.kernels.cpu;

import io.panatron.kernels.DType;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.host.HostMemory;
import java.lang.foreign.MemorySegment;

/**
 * A tensor as the matmul engine reads it: in place, or widened from BF16 or F16 to F32 scratch.
 *
 * @param address of the first element
 * @param dtype what lies there
 */
record MatmulOperand(long address, DType dtype) {
  /** Elements that one worker widens at a time. */
  private static final int STEP = 1 << 16;

  /** Whether the engine needs the elements of such a tensor widened. */
  static boolean needsWidening(Tensor tensor, MatmulEngine engine) {
    return tensor.dtype() != DType.F32 && !engine.multiplies(tensor.dtype());
  }

  /** How many elements of scratch memory the tensor needs: all or none. */
  static long scratchElements(Tensor tensor, MatmulEngine engine) {
    return needsWidening(tensor, engine) ? tensor.elements() : 0;
  }

  /**
   * The tensor as an operand.
   *
   * @param part a shared part of {@code scratch} with {@link #scratchElements} elements
   */
  static MatmulOperand of(Tensor tensor, CpuWorkers workers, CpuScratch scratch, long part) {
    return needsWidening(tensor, workers.engine())
        ? widened(tensor, workers, scratch, part)
        : new MatmulOperand(tensor.address(), tensor.dtype());
  }

  /**
   * The tensor as an F32 operand, in place if it is F32.
   *
   * @param part else a shared part of {@code scratch} with room for all elements
   */
  static MatmulOperand widened(Tensor tensor, CpuWorkers workers, CpuScratch scratch, long part) {
    if (tensor.dtype() == DType.F32) {
      return new MatmulOperand(tensor.address(), DType.F32);
    }
    MemorySegment from = HostMemory.of(tensor);
    MemorySegment to = scratch.segment();
    long elements = tensor.elements();
    workers.run(
        Math.toIntExact((elements + STEP - 1) / STEP),
        (worker, piece) -> {
          long start = (long) piece * STEP;
          int count = (int) Math.min(STEP, elements - start);
          TileRows.read(tensor.dtype(), from, start, to, part + start, count, 1);
        });
    return new MatmulOperand(scratch.address(part), DType.F32);
  }

  /** Address of an element. */
  long at(long position) {
    return address + position * dtype.bytes();
  }
}
