package io.panatron.kernels;

import static io.panatron.kernels.TensorChecks.leading;
import static io.panatron.kernels.TensorChecks.matrix;

import org.jspecify.annotations.Nullable;

/** What {@link OperationShapes} checks of a linear layer with a low-rank addition. */
public record LowRankShapes(OperationShapes shapes) {

  public void lowRankForward(Tensor x, LowRank adapter, Tensor h) {
    String operation = "lowRankForward";
    DType compute = shapes.compute(operation, "x", x, 2);
    fits(operation, adapter, compute, x.shape().extent(1), Long.MAX_VALUE);
    narrow(operation, "h", h, adapter, compute, x.shape().extent(0));
  }

  public void adaptedLinearForward(
      Tensor x, Tensor weight, @Nullable Tensor bias, Tensor h, LowRank adapter, Tensor y) {
    String operation = "adaptedLinearForward";
    shapes.linearForward(x, weight, bias, y);
    DType compute = shapes.compute(operation, "x", x, 2);
    long out = weight.shape().extent(0);
    matrix(operation, "y", y, compute, x.shape().extent(0), out);
    fits(operation, adapter, compute, x.shape().extent(1), out);
    narrow(operation, "h", h, adapter, compute, x.shape().extent(0));
  }

  public void lowRankBackward(
      Tensor x, Tensor h, Tensor dy, LowRank adapter, Tensor g, Tensor dDown, Tensor dUp) {
    String operation = "lowRankBackward";
    DType compute = shapes.compute(operation, "x", x, 2);
    DType sums = compute.accumulator();
    long tokens = x.shape().extent(0);
    leading(operation, "dy", dy, 2);
    long out = dy.shape().extent(1);
    matrix(operation, "dy", dy, compute, tokens, out);
    fits(operation, adapter, compute, x.shape().extent(1), out);
    narrow(operation, "h", h, adapter, compute, tokens);
    narrow(operation, "g", g, adapter, compute, tokens);
    matrix(operation, "dDown", dDown, sums, adapter.width(), x.shape().extent(1));
    matrix(operation, "dUp", dUp, sums, adapter.up().shape().extent(0), adapter.rank());
  }

  public void adaptedLinearBackwardInput(
      Tensor dy, Tensor weight, Tensor g, LowRank adapter, Tensor dx) {
    String operation = "adaptedLinearBackwardInput";
    shapes.linearBackwardInput(dy, weight, dx);
    DType compute = shapes.compute(operation, "weight", weight, 2);
    long tokens = dy.shape().extent(0);
    fits(operation, adapter, compute, weight.shape().extent(1), weight.shape().extent(0));
    narrow(operation, "g", g, adapter, compute, tokens);
  }

  /**
   * @param in columns of the layer's input
   * @param out columns of the layer's output
   */
  private static void fits(String operation, LowRank adapter, DType compute, long in, long out) {
    matrix(operation, "down", adapter.down(), compute, adapter.width(), in);
    Tensor up = adapter.up();
    matrix(operation, "up", up, compute, up.shape().extent(0), adapter.rank());
    if (adapter.blocks().getLast().end() > out) {
      throw new IllegalArgumentException(
          operation + ": blocks " + adapter.blocks() + " leave the " + out + " columns");
    }
  }

  /** A tensor of all blocks' ranks, such as {@code h}. */
  private static void narrow(
      String operation, String name, Tensor tensor, LowRank adapter, DType compute, long tokens) {
    matrix(operation, name, tensor, compute, tokens, adapter.width());
  }
}
