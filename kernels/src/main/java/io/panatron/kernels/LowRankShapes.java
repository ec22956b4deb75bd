package io.panatron.kernels;

import static io.panatron.kernels.TensorChecks.matrix;

/** What {@link OperationShapes} checks of a low-rank addition, once the dtype is a compute one. */
final class LowRankShapes {
  private LowRankShapes() {}

  /**
   * @param in columns of the layer's input
   * @param out columns of the layer's output
   */
  static void fits(String operation, LowRank adapter, DType compute, long in, long out) {
    matrix(operation, "down", adapter.down(), compute, adapter.width(), in);
    Tensor up = adapter.up();
    matrix(operation, "up", up, compute, up.shape().extent(0), adapter.rank());
    if (adapter.blocks().getLast().end() > out) {
      throw new IllegalArgumentException(
          operation + ": blocks " + adapter.blocks() + " leave the " + out + " columns");
    }
  }

  /** A tensor of all blocks' ranks, such as {@code h}. */
  static void narrow(
      String operation, String name, Tensor tensor, LowRank adapter, DType compute, long tokens) {
    matrix(operation, name, tensor, compute, tokens, adapter.width());
  }
}
