package io.panatron.kernels.reference;

import io.panatron.kernels.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * {@code y = x weight^T + bias}; {@code dx = dy weight}; {@code dWeight += dy^T x}; {@code dBias +=
 * column sums of dy}.
 *
 * <p><b>Shapes</b>: x, dx: [tokens, in]; weight, dWeight: [out, in]; bias, dBias: [out]; y, dy:
 * [tokens, out].
 */
final class ReferenceLinear {
  private ReferenceLinear() {}

  static void forward(Tensor x, Tensor weight, @Nullable Tensor bias, Tensor y) {
    int tokens = x.shape().rows();
    int in = x.shape().columns();
    int out = y.shape().columns();
    double[] xs = ReferenceArray.read(x);
    double[] w = ReferenceArray.read(weight);
    double[] b = bias == null ? new double[out] : ReferenceArray.read(bias);
    double[] ys = new double[tokens * out];
    for (int t = 0; t < tokens; t++) {
      for (int o = 0; o < out; o++) {
        ys[t * out + o] = ReferenceArray.dot(xs, t * in, w, o * in, in) + b[o];
      }
    }
    ReferenceArray.write(ys, y);
  }

  static void backwardInput(Tensor dy, Tensor weight, Tensor dx) {
    int tokens = dy.shape().rows();
    int out = dy.shape().columns();
    int in = dx.shape().columns();
    double[] dys = ReferenceArray.read(dy);
    double[] w = ReferenceArray.read(weight);
    double[] dxs = new double[tokens * in];
    for (int t = 0; t < tokens; t++) {
      for (int o = 0; o < out; o++) {
        ReferenceArray.addScaled(dys[t * out + o], w, o * in, dxs, t * in, in);
      }
    }
    ReferenceArray.write(dxs, dx);
  }

  static void backwardWeight(
      Tensor x, Tensor dy, @Nullable Tensor dWeight, @Nullable Tensor dBias) {
    int tokens = x.shape().rows();
    int in = x.shape().columns();
    int out = dy.shape().columns();
    double[] xs = dWeight == null ? new double[tokens * in] : ReferenceArray.read(x);
    double[] dys = ReferenceArray.read(dy);
    double[] dw = new double[out * in];
    double[] db = new double[out];
    for (int o = 0; o < out; o++) {
      for (int t = 0; t < tokens; t++) {
        ReferenceArray.addScaled(dys[t * out + o], xs, t * in, dw, o * in, in);
        db[o] += dys[t * out + o];
      }
    }
    if (dWeight != null) {
      ReferenceArray.accumulate(dw, dWeight);
    }
    if (dBias != null) {
      ReferenceArray.accumulate(db, dBias);
    }
  }
}
