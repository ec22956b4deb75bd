package io.panatron.kernels.reference;

import io.panatron.kernels.Tensor;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * {@code sum = x + delta}; {@code c = sum - mean(sum)}; {@code rstd = 1 / sqrt(mean(c^2) +
 * epsilon)}; {@code y = c rstd weight + bias}.
 *
 * <p>With {@code n = c rstd} and {@code g = dy weight}: {@code dx = dSum + rstd (g - mean(g) - n
 * mean(g n))}; {@code dWeight += sum over tokens of dy n}; {@code dBias += sum over tokens of dy}.
 *
 * <p><b>Shapes</b>: x, delta, sum, y and their gradients: [tokens, hidden]; weight, bias: [hidden];
 * rstd: [tokens]. Source: Ba, Kiros and Hinton, "Layer Normalization", equation 4.
 */
final class ReferenceLayerNorm {
  private ReferenceLayerNorm() {}

  static void forward(
      Tensor x,
      @Nullable Tensor delta,
      Tensor weight,
      Tensor bias,
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
    int hidden = x.shape().columns();
    double[] w = ReferenceArray.read(weight);
    double[] b = ReferenceArray.read(bias);
    double[] r = new double[x.shape().rows()];
    for (int t = 0; t < r.length; t++) {
      center(s, t * hidden, hidden);
      double variance = ReferenceArray.dot(s, t * hidden, s, t * hidden, hidden) / hidden;
      r[t] = 1 / Math.sqrt(variance + epsilon);
      for (int i = 0; i < hidden; i++) {
        s[t * hidden + i] = s[t * hidden + i] * r[t] * w[i] + b[i];
      }
    }
    ReferenceArray.write(s, y);
    ReferenceArray.write(r, rstd);
  }

  static void backward(
      Tensor sum,
      Tensor weight,
      Tensor rstd,
      Tensor dy,
      @Nullable Tensor dSum,
      Tensor dx,
      @Nullable Tensor dWeight,
      @Nullable Tensor dBias) {
    int hidden = sum.shape().columns();
    double[] s = ReferenceArray.read(sum);
    double[] w = ReferenceArray.read(weight);
    double[] r = ReferenceArray.read(rstd);
    double[] dys = ReferenceArray.read(dy);
    double[] dxs = new double[s.length];
    double[] dw = new double[hidden];
    double[] db = new double[hidden];
    for (int t = 0; t < r.length; t++) {
      int start = t * hidden;
      center(s, start, hidden);
      double meanGradient = 0;
      double meanProduct = 0;
      for (int i = 0; i < hidden; i++) {
        double n = s[start + i] * r[t];
        meanGradient += dys[start + i] * w[i] / hidden;
        meanProduct += dys[start + i] * w[i] * n / hidden;
        dw[i] += dys[start + i] * n;
        db[i] += dys[start + i];
      }
      for (int i = 0; i < hidden; i++) {
        double n = s[start + i] * r[t];
        dxs[start + i] = r[t] * (dys[start + i] * w[i] - meanGradient - n * meanProduct);
      }
    }
    if (dSum != null) {
      ReferenceArray.addScaled(1, ReferenceArray.read(dSum), 0, dxs, 0, dxs.length);
    }
    ReferenceArray.write(dxs, dx);
    if (dWeight != null) {
      ReferenceArray.accumulate(dw, dWeight);
    }
    if (dBias != null) {
      ReferenceArray.accumulate(db, dBias);
    }
  }

  private static void center(double[] x, int start, int count) {
    double mean = Arrays.stream(x, start, start + count).sum() / count;
    for (int i = start; i < start + count; i++) {
      x[i] -= mean;
    }
  }
}
