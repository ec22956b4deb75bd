package io.panatron.runtime.task;

/** Functions that losses share. */
final class Numerics {
  private Numerics() {}

  static double dot(double[] a, double[] b) {
    double sum = 0;
    for (int i = 0; i < a.length; i++) {
      sum += a[i] * b[i];
    }
    return sum;
  }

  /** {@code y += factor x}. */
  static void addScaled(double[] y, double factor, double[] x) {
    for (int i = 0; i < y.length; i++) {
      y[i] += factor * x[i];
    }
  }

  static int argmax(double[] values) {
    int best = 0;
    for (int i = 1; i < values.length; i++) {
      if (values[i] > values[best]) {
        best = i;
      }
    }
    return best;
  }

  /**
   * Overwrites logits by the gradient of {@code factor * crossEntropy(logits, target)} and returns
   * that loss. A logit of minus infinity has no part in it.
   */
  static double crossEntropy(double[] logits, int target, double factor) {
    double largest = Double.NEGATIVE_INFINITY;
    for (double logit : logits) {
      largest = Math.max(largest, logit);
    }
    double sum = 0;
    for (double logit : logits) {
      sum += Math.exp(logit - largest);
    }
    double loss = Math.log(sum) + largest - logits[target];
    for (int i = 0; i < logits.length; i++) {
      logits[i] = factor * Math.exp(logits[i] - largest) / sum;
    }
    logits[target] -= factor;
    return factor * loss;
  }

  /** {@code -log sigmoid(z)} where the label is 1, {@code -log(1 - sigmoid(z))} where it is 0. */
  static double binaryCrossEntropy(double logit, double label) {
    return Math.max(logit, 0) - logit * label + Math.log1p(Math.exp(-Math.abs(logit)));
  }

  static double sigmoid(double logit) {
    return logit >= 0 ? 1 / (1 + Math.exp(-logit)) : Math.exp(logit) / (1 + Math.exp(logit));
  }

  /** Whether all are numbers, so that a loss of them is one. */
  static boolean areFinite(double[][] rows) {
    for (double[] row : rows) {
      for (double value : row) {
        if (!Double.isFinite(value)) {
          return false;
        }
      }
    }
    return true;
  }
}
