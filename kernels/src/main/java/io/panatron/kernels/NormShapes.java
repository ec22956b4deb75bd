package io.panatron.kernels;

import static io.panatron.kernels.TensorChecks.matrix;
import static io.panatron.kernels.TensorChecks.vector;

import org.jspecify.annotations.Nullable;

/**
 * What {@link OperationShapes} checks of both norms, once the dtype is known to be a compute one.
 */
final class NormShapes {
  private NormShapes() {}

  static void forward(
      String operation,
      Tensor x,
      @Nullable Tensor delta,
      Tensor weight,
      @Nullable Tensor sum,
      Tensor y,
      Tensor rstd) {
    DType compute = x.dtype();
    long tokens = x.shape().extent(0);
    long hidden = x.shape().extent(1);
    if ((delta == null) != (sum == null)) {
      throw new IllegalArgumentException(
          operation + ": delta is " + delta + " and sum is " + sum + "; give both or neither");
    }
    if (delta != null) {
      matrix(operation, "delta", delta, compute, tokens, hidden);
    }
    if (sum != null) {
      matrix(operation, "sum", sum, compute, tokens, hidden);
    }
    vector(operation, "weight", weight, compute, hidden);
    matrix(operation, "y", y, compute, tokens, hidden);
    vector(operation, "rstd", rstd, compute.accumulator(), tokens);
  }

  static void backward(
      String operation,
      Tensor sum,
      Tensor weight,
      Tensor rstd,
      Tensor dy,
      @Nullable Tensor dSum,
      Tensor dx,
      @Nullable Tensor dWeight) {
    DType compute = sum.dtype();
    long tokens = sum.shape().extent(0);
    long hidden = sum.shape().extent(1);
    vector(operation, "weight", weight, compute, hidden);
    vector(operation, "rstd", rstd, compute.accumulator(), tokens);
    matrix(operation, "dy", dy, compute, tokens, hidden);
    if (dSum != null) {
      matrix(operation, "dSum", dSum, compute, tokens, hidden);
    }
    matrix(operation, "dx", dx, compute, tokens, hidden);
    if (dWeight != null) {
      vector(operation, "dWeight", dWeight, compute.accumulator(), hidden);
    }
  }
}
