package io.panatron.kernels;

import static io.panatron.kernels.TensorChecks.cube;
import static io.panatron.kernels.TensorChecks.matrix;
import static io.panatron.kernels.TensorChecks.vector;

import io.panatron.kernels.Backend.HeadNorm;
import org.jspecify.annotations.Nullable;

/**
 * What {@link OperationShapes} checks of the split into heads, once the dtype is known to be a
 * compute one.
 */
final class SplitHeadsShapes {
  private SplitHeadsShapes() {}

  /**
   * Checks either direction.
   *
   * @param prefix of the names of heads
   */
  static void check(
      String operation,
      String prefix,
      Tensor qkv,
      HeadGeometry geometry,
      Tensor positions,
      RotaryTable rotary,
      @Nullable HeadNorm norm,
      Tensor q,
      Tensor k,
      Tensor v,
      @Nullable Tensor rstd) {
    DType compute = qkv.dtype();
    DType sums = compute.accumulator();
    long tokens = qkv.shape().extent(0);
    int headDim = geometry.headDim();
    matrix(operation, "qkv", qkv, compute, tokens, geometry.fusedColumns());
    vector(operation, "positions", positions, DType.I32, tokens);
    long half = rotary.cosine().shape().columns();
    matrix(operation, "cosine", rotary.cosine(), sums, rotary.positions(), half);
    matrix(operation, "sine", rotary.sine(), sums, rotary.positions(), half);
    if (rotary.rotaryDim() > headDim) {
      throw new IllegalArgumentException(
          operation
              + ": the rotary table rotates "
              + rotary.rotaryDim()
              + " elements of heads that have "
              + headDim);
    }
    cube(operation, prefix + "q", q, compute, tokens, geometry.queryHeads(), headDim);
    cube(operation, prefix + "k", k, compute, tokens, geometry.keyValueHeads(), headDim);
    cube(operation, prefix + "v", v, compute, tokens, geometry.keyValueHeads(), headDim);
    if ((norm == null) != (rstd == null)) {
      throw new IllegalArgumentException(
          operation
              + ": head norm is "
              + (norm == null ? "absent" : "given")
              + " and rstd is "
              + rstd
              + "; give both or neither");
    }
    if (norm != null && rstd != null) {
      vector(operation, "queryWeight", norm.queryWeight(), compute, headDim);
      vector(operation, "keyWeight", norm.keyWeight(), compute, headDim);
      int heads = geometry.queryHeads() + geometry.keyValueHeads();
      matrix(operation, "rstd", rstd, sums, tokens, heads);
    }
  }
}
