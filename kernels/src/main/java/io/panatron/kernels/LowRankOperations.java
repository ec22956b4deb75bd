package io.panatron.kernels;

import org.jspecify.annotations.Nullable;

/**
 * Operations of a linear layer with a low-rank addition; dtypes, what is written and what is
 * accumulated as {@link Backend} says.
 */
public interface LowRankOperations {

  /**
   * {@code h = scale x down^T}, what a low-rank addition makes of the layer's input. Shapes: x:
   * [tokens, in] C; h: [tokens, {@link LowRank#width}] C.
   */
  void lowRankForward(MemoryScope scratch, Tensor x, LowRank adapter, double scale, Tensor h);

  /**
   * {@link Backend#linearForward} with {@code h[block] up[block]^T} added to each block's columns
   * of y, rounded once. Shapes: as there; y: [tokens, out] C.
   */
  void adaptedLinearForward(
      MemoryScope scratch,
      Tensor x,
      Tensor weight,
      @Nullable Tensor bias,
      Tensor h,
      LowRank adapter,
      Tensor y);

  /**
   * {@code g[block] = scale dy[block] up[block]}; {@code dUp[block] += dy[block]^T h[block]};
   * {@code dDown += g^T x}.
   *
   * <p><b>Shapes</b>: x: [tokens, in] C, of which h was made; dy: [tokens, out] C; h, g: [tokens,
   * width] C, g overwritten; dDown, dUp: as {@code adapter.down()} and {@code adapter.up()}, A.
   */
  void lowRankBackward(
      MemoryScope scratch,
      Tensor x,
      Tensor h,
      Tensor dy,
      LowRank adapter,
      double scale,
      Tensor g,
      Tensor dDown,
      Tensor dUp);

  /**
   * {@link Backend#linearBackwardInput} with {@code g down} added, dropped by the mask if one is
   * given: {@code dx = dy weight + mask(g down)}, rounded once. Shapes: as there; g: [tokens,
   * width] C.
   */
  void adaptedLinearBackwardInput(
      MemoryScope scratch,
      Tensor dy,
      Tensor weight,
      Tensor g,
      LowRank adapter,
      @Nullable DropoutMask mask,
      Tensor dx);
}
