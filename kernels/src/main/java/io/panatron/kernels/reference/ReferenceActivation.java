package io.panatron.kernels.reference;

import io.panatron.kernels.Activation;
import io.panatron.kernels.Tensor;

/**
 * {@code y = f(x)} and {@code dx = dy f'(x)} for each element.
 *
 * <p>The distribution in the exact GELU is a sum of the series of {@code erf} near zero and a
 * continued fraction of {@code erfc} further out, both to the last bits of a double.
 */
final class ReferenceActivation {
  private static final double ROOT_2_OVER_PI = Math.sqrt(2 / Math.PI);
  private static final double CUBIC = 0.044715;

  private ReferenceActivation() {}

  static void forward(Activation activation, Tensor x, Tensor y) {
    double[] values = ReferenceArray.read(x);
    for (int i = 0; i < values.length; i++) {
      values[i] = value(activation, values[i]);
    }
    ReferenceArray.write(values, y);
  }

  static void backward(Activation activation, Tensor x, Tensor dy, Tensor dx) {
    double[] xs = ReferenceArray.read(x);
    double[] dys = ReferenceArray.read(dy);
    for (int i = 0; i < xs.length; i++) {
      dys[i] *= slope(activation, xs[i]);
    }
    ReferenceArray.write(dys, dx);
  }

  private static double value(Activation activation, double x) {
    return switch (activation) {
      case GELU -> x * normalDistribution(x);
      case GELU_TANH -> x * sigmoid(2 * ROOT_2_OVER_PI * (x + CUBIC * x * x * x));
      case QUICK_GELU -> x * sigmoid(1.702 * x);
      case SILU -> x * sigmoid(x);
      case RELU -> Math.max(x, 0);
      case SQUARED_RELU -> Math.max(x, 0) * Math.max(x, 0);
    };
  }

  private static double slope(Activation activation, double x) {
    return switch (activation) {
      case GELU -> normalDistribution(x) + x * Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI);
      case GELU_TANH ->
          gatedSlope(
              x,
              2 * ROOT_2_OVER_PI * (x + CUBIC * x * x * x),
              2 * ROOT_2_OVER_PI * (1 + 3 * CUBIC * x * x));
      case QUICK_GELU -> gatedSlope(x, 1.702 * x, 1.702);
      case SILU -> gatedSlope(x, x, 1);
      case RELU -> x > 0 ? 1 : 0;
      case SQUARED_RELU -> 2 * Math.max(x, 0);
    };
  }

  /** The slope of {@code x sigmoid(u(x))}. */
  private static double gatedSlope(double x, double u, double du) {
    double s = sigmoid(u);
    // The product of a sigmoid that is 0 and a cubic that is infinite counts as 0.
    double rest = s * sigmoid(-u);
    return rest == 0 ? s : s + x * rest * du;
  }

  private static double sigmoid(double x) {
    return 1 / (1 + Math.exp(-x));
  }

  /** The probability that a normal number is at most {@code x}. */
  private static double normalDistribution(double x) {
    double upper = complementaryError(Math.abs(x) / Math.sqrt(2)) / 2;
    return x < 0 ? upper : 1 - upper;
  }

  /** {@code erfc(z)} for {@code z >= 0}. Source: Abramowitz and Stegun, 7.1.6 and 7.1.14. */
  private static double complementaryError(double z) {
    if (z < 2) {
      double term = 2 / Math.sqrt(Math.PI) * z * Math.exp(-z * z);
      double sum = term;
      for (int n = 1; term > 1e-18 * sum; n++) {
        term *= 2 * z * z / (2 * n + 1);
        sum += term;
      }
      return 1 - sum;
    }
    double fraction = 0;
    for (int n = 120; n >= 1; n--) {
      fraction = n / 2.0 / (z + fraction);
    }
    return Math.exp(-z * z) / Math.sqrt(Math.PI) / (z + fraction);
  }
}
