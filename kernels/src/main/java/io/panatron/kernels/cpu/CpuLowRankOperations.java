package io.panatron.kernels.cpu;

import io.panatron.kernels.DropoutMask;
import io.panatron.kernels.LowRank;
import io.panatron.kernels.LowRankOperations;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import org.jspecify.annotations.Nullable;

/** {@link CpuBackend}'s part of them: checks shapes and hands each to its kernels. */
interface CpuLowRankOperations extends LowRankOperations {
  /** The kernels. */
  CpuLowRank lowRank();

  @Override
  default void lowRankForward(
      MemoryScope scratch, Tensor x, LowRank adapter, double scale, Tensor h) {
    lowRank().shapes().lowRankForward(x, adapter, h);
    lowRank().forward(scratch, x, adapter, scale, h);
  }

  @Override
  default void adaptedLinearForward(
      MemoryScope scratch,
      Tensor x,
      Tensor weight,
      @Nullable Tensor bias,
      Tensor h,
      LowRank adapter,
      Tensor y) {
    lowRank().shapes().adaptedLinearForward(x, weight, bias, h, adapter, y);
    lowRank()
        .linear()
        .forward(scratch, x, weight, bias, new CpuLinear.Addition(h, adapter, null), y);
  }

  @Override
  default void lowRankBackward(
      MemoryScope scratch,
      Tensor x,
      Tensor h,
      Tensor dy,
      LowRank adapter,
      double scale,
      Tensor g,
      Tensor dDown,
      Tensor dUp) {
    lowRank().shapes().lowRankBackward(x, h, dy, adapter, g, dDown, dUp);
    lowRank().backward(scratch, x, h, dy, adapter, scale, g, dDown, dUp);
  }

  @Override
  default void adaptedLinearBackwardInput(
      MemoryScope scratch,
      Tensor dy,
      Tensor weight,
      Tensor g,
      LowRank adapter,
      @Nullable DropoutMask mask,
      Tensor dx) {
    lowRank().shapes().adaptedLinearBackwardInput(dy, weight, g, adapter, dx);
    lowRank()
        .linear()
        .backwardInput(scratch, dy, weight, new CpuLinear.Addition(g, adapter, mask), dx);
  }
}
