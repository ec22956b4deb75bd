package io.panatron.kernels.reference;

import io.panatron.kernels.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * {@code sum = x + delta}; {@code rstd = 1 / sqrt(mean(sum^2) + epsilon)}; {@code y = sum rstd
 * weight}.
 *
 * <p>With {@code n = sum rstd} and {@code g = dy weight}: {@code dx = dSum + rstd (g - n mean(g
 * n))}; {@code dWeight += sum over tokens of dy n}.
 *
 * <p><b>Shapes</b>: x, delta, sum, y and their gradients: [tokens, hidden]; weight: [hidden]; rstd:
 * [tokens]. Source: Zhang and Sennrich, "Root Mean Square Layer Normalization", equation 4.
 */
final class ReferenceRmsNorm {
  private ReferenceRmsNorm() {}

  static void forward(
      Tensor x,
      @Nullable Tensor delta,
      Tensor weight,
      double epsilon,
      @Nullable Tensor sum,
      Tensor y,
      Tensor rstd) {
    double[] s = ReferenceArray.read(x);
    if (delta != null && sum != null) {
      ReferenceArray.addScaled(1, ReferenceArray.read(delta), 0, s, 0, s.length);
      ReferenceArray.write(s, sum);
      // The contract norms the sum as it was stored.
      s = ReferenceArray.read(sum);
    }
    int tokens = x.shape().rows();
    int hidden = x.shape().columns();
    double[] w = ReferenceArray.read(weight);
    double[] ys = new double[s.length];
    double[] r = new double[tokens];
    for (int t = 0; t < tokens; t++) {
      r[t] = normalize(s, t * hidden, hidden, w, epsilon, ys);
    }
    ReferenceArray.write(ys, y);
    ReferenceArray.write(r, rstd);
  }

  static void backward(
      Tensor sum,
      Tensor weight,
      Tensor rstd,
      Tensor dy,
      @Nullable Tensor dSum,
      Tensor dx,
      @Nullable Tensor dWeight) {
    int tokens = sum.shape().rows();
    int hidden = sum.shape().columns();
    double[] s = ReferenceArray.read(sum);
    double[] w = ReferenceArray.read(weight);
    double[] r = ReferenceArray.read(rstd);
    double[] dys = ReferenceArray.read(dy);
    double[] dxs = new double[s.length];
    double[] dw = new double[hidden];
    for (int t = 0; t < tokens; t++) {
      normalizeBackward(s, t * hidden, hidden, w, r[t], dys, t * hidden, dxs, dw);
    }
    if (dSum != null) {
      ReferenceArray.addScaled(1, ReferenceArray.read(dSum), 0, dxs, 0, dxs.length);
    }
    ReferenceArray.write(dxs, dx);
    if (dWeight != null) {
      ReferenceArray.accumulate(dw, dWeight);
    }
  }

  /** Norms {@code count} elements of {@code x} into the same places of {@code y}; returns rstd. */
  static double normalize(
      double[] x, int start, int count, double[] weight, double epsilon, double[] y) {
    double meanSquare = ReferenceArray.dot(x, start, x, start, count) / count;
    double rstd = 1 / Math.sqrt(meanSquare + epsilon);
    for (int i = 0; i < count; i++) {
      y[start + i] = x[start + i] * rstd * weight[i];
    }
    return rstd;
  }

  /** Overwrites {@code dx} at the places of {@code x}; adds to {@code dWeight}. */
  static void normalizeBackward(
      double[] x,
      int start,
      int count,
      double[] weight,
      double rstd,
      double[] dy,
      int dyStart,
      double[] dx,
      double[] dWeight) {
    double meanProduct = 0;
    for (int i = 0; i < count; i++) {
      double n = x[start + i] * rstd;
      meanProduct += dy[dyStart + i] * weight[i] * n / count;
      dWeight[i] += dy[dyStart + i] * n;
    }
    for (int i = 0; i < count; i++) {
      double n = x[start + i] * rstd;
      dx[start + i] = rstd * (dy[dyStart + i] * weight[i] - n * meanProduct);
    }
  }
}
