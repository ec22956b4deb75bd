package io.panatron.kernels.reference;

import io.panatron.kernels.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * {@code losses[t] = logSumExp[t] - z[t, labels[t]]} with {@code z = x weight^T}; {@code dz[t, v] =
 * dLosses[t] (exp(z[t, v] - logSumExp[t]) - [v = labels[t]])}; {@code dx = dz weight}; {@code
 * dWeight += dz^T x}. One row of logits exists at a time; ignored rows (label below 0) have loss,
 * logSumExp and gradient 0.
 *
 * <p><b>Shapes</b>: x, dx: [tokens, hidden]; weight, dWeight: [vocab, hidden]; labels, losses,
 * logSumExp, dLosses: [tokens].
 *
 * <p><b>Errors</b>: a label past the vocabulary throws {@link IllegalArgumentException}.
 */
final class ReferenceLinearCrossEntropy {
  private final int tokens;
  private final int hidden;
  private final int vocab;
  private final double[] x;
  private final double[] weight;
  private final int[] labels;
  private final double[] logits;

  private ReferenceLinearCrossEntropy(Tensor x, Tensor weight, Tensor labels) {
    this.tokens = x.shape().rows();
    this.hidden = x.shape().columns();
    this.vocab = weight.shape().rows();
    this.x = ReferenceArray.read(x);
    this.weight = ReferenceArray.read(weight);
    this.labels = ReferenceArray.readIntegers(labels);
    this.logits = new double[vocab];
    for (int t = 0; t < tokens; t++) {
      if (this.labels[t] >= vocab) {
        throw new IllegalArgumentException(
            "linearCrossEntropy: label "
                + this.labels[t]
                + " of token "
                + t
                + " is outside the vocabulary of "
                + vocab);
      }
    }
  }

  static void forward(Tensor x, Tensor weight, Tensor labels, Tensor losses, Tensor logSumExp) {
    var head = new ReferenceLinearCrossEntropy(x, weight, labels);
    double[] logs = new double[head.tokens];
    ReferenceArray.write(head.losses(logs), losses);
    ReferenceArray.write(logs, logSumExp);
  }

  static void backward(
      Tensor x,
      Tensor weight,
      Tensor labels,
      Tensor logSumExp,
      Tensor dLosses,
      @Nullable Tensor dx,
      @Nullable Tensor dWeight) {
    var head = new ReferenceLinearCrossEntropy(x, weight, labels);
    head.gradients(ReferenceArray.read(logSumExp), ReferenceArray.read(dLosses), dx, dWeight);
  }

  static void forwardBackward(
      Tensor x,
      Tensor weight,
      Tensor labels,
      Tensor dLosses,
      Tensor losses,
      @Nullable Tensor dx,
      @Nullable Tensor dWeight) {
    var head = new ReferenceLinearCrossEntropy(x, weight, labels);
    double[] logs = new double[head.tokens];
    ReferenceArray.write(head.losses(logs), losses);
    head.gradients(logs, ReferenceArray.read(dLosses), dx, dWeight);
  }

  /** Multiplies each {@code dLosses[t]} by {@code exp(-losses[t])}. */
  static void dftForwardBackward(
      Tensor x,
      Tensor weight,
      Tensor labels,
      Tensor dLosses,
      Tensor losses,
      @Nullable Tensor dx,
      @Nullable Tensor dWeight) {
    var head = new ReferenceLinearCrossEntropy(x, weight, labels);
    double[] logs = new double[head.tokens];
    double[] values = head.losses(logs);
    double[] upstream = ReferenceArray.read(dLosses);
    for (int t = 0; t < head.tokens; t++) {
      upstream[t] *= Math.exp(-values[t]);
    }
    ReferenceArray.write(values, losses);
    head.gradients(logs, upstream, dx, dWeight);
  }

  /** The losses; fills {@code logSumExp}. */
  private double[] losses(double[] logSumExp) {
    double[] result = new double[tokens];
    for (int t = 0; t < tokens; t++) {
      if (labels[t] < 0) {
        continue;
      }
      double max = computeLogits(t);
      double sum = 0;
      for (int v = 0; v < vocab; v++) {
        sum += Math.exp(logits[v] - max);
      }
      logSumExp[t] = max + Math.log(sum);
      result[t] = logSumExp[t] - logits[labels[t]];
    }
    return result;
  }

  private void gradients(
      double[] logSumExp, double[] upstream, @Nullable Tensor dx, @Nullable Tensor dWeight) {
    double[] dxs = new double[tokens * hidden];
    double[] dw = new double[vocab * hidden];
    for (int t = 0; t < tokens; t++) {
      if (labels[t] < 0) {
        continue;
      }
      computeLogits(t);
      for (int v = 0; v < vocab; v++) {
        double target = v == labels[t] ? 1 : 0;
        double dz = upstream[t] * (Math.exp(logits[v] - logSumExp[t]) - target);
        ReferenceArray.addScaled(dz, weight, v * hidden, dxs, t * hidden, hidden);
        ReferenceArray.addScaled(dz, x, t * hidden, dw, v * hidden, hidden);
      }
    }
    if (dx != null) {
      ReferenceArray.write(dxs, dx);
    }
    if (dWeight != null) {
      ReferenceArray.accumulate(dw, dWeight);
    }
  }

  /** Fills the row of logits of token {@code t}; returns the largest. */
  private double computeLogits(int t) {
    double max = Double.NEGATIVE_INFINITY;
    for (int v = 0; v < vocab; v++) {
      logits[v] = ReferenceArray.dot(x, t * hidden, weight, v * hidden, hidden);
      max = Math.max(max, logits[v]);
    }
    return max;
  }
}
