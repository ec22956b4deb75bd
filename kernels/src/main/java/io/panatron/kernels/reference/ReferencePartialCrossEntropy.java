package io.panatron.kernels.reference;

import io.panatron.kernels.DType;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.VocabularyPart;

/**
 * {@link ReferenceLinearCrossEntropy} where each rank has some rows of the weight: {@code
 * logSumExp[t] = log sum over ranks of exp(own logSumExp[t])}, {@code losses[t] = logSumExp[t] -
 * sum over ranks of own z[t, labels[t]]}. Gradients are those of the rank's own logits.
 *
 * <p><b>Shapes</b>: x, dx: [tokens, hidden]; weight, dWeight: [rows here, hidden]; labels, losses,
 * logSumExp, dLosses: [tokens].
 */
final class ReferencePartialCrossEntropy {
  private final VocabularyPart part;
  private final int tokens;
  private final int hidden;
  private final double[] x;
  private final double[] weight;
  private final int[] labels;

  private ReferencePartialCrossEntropy(
      Tensor x, Tensor weight, VocabularyPart part, Tensor labels) {
    this.part = part;
    this.tokens = x.shape().rows();
    this.hidden = x.shape().columns();
    this.x = ReferenceArray.read(x);
    this.weight = ReferenceArray.read(weight);
    this.labels = ReferenceArray.readIntegers(labels);
    for (int t = 0; t < tokens; t++) {
      if (this.labels[t] >= part.size()) {
        throw new IllegalArgumentException(
            "partialCrossEntropy: label "
                + this.labels[t]
                + " of token "
                + t
                + " is outside the vocabulary of "
                + part.size());
      }
    }
  }

  static void forward(
      MemoryScope scratch,
      Tensor x,
      Tensor weight,
      VocabularyPart part,
      Tensor labels,
      Tensor losses,
      Tensor logSumExp) {
    var head = new ReferencePartialCrossEntropy(x, weight, part, labels);
    double[] logs = new double[head.tokens];
    ReferenceArray.write(head.losses(scratch, logs), losses);
    ReferenceArray.write(logs, logSumExp);
  }

  static void backward(
      Tensor x,
      Tensor weight,
      VocabularyPart part,
      Tensor labels,
      Tensor logSumExp,
      Tensor dLosses,
      Tensor dx,
      Tensor dWeight) {
    var head = new ReferencePartialCrossEntropy(x, weight, part, labels);
    head.gradients(ReferenceArray.read(logSumExp), ReferenceArray.read(dLosses), dx, dWeight);
  }

  static void forwardBackward(
      MemoryScope scratch,
      Tensor x,
      Tensor weight,
      VocabularyPart part,
      Tensor labels,
      Tensor dLosses,
      boolean dft,
      Tensor losses,
      Tensor dx,
      Tensor dWeight) {
    var head = new ReferencePartialCrossEntropy(x, weight, part, labels);
    double[] logs = new double[head.tokens];
    double[] values = head.losses(scratch, logs);
    double[] upstream = ReferenceArray.read(dLosses);
    for (int t = 0; dft && t < head.tokens; t++) {
      upstream[t] *= Math.exp(-values[t]);
    }
    ReferenceArray.write(values, losses);
    head.gradients(logs, upstream, dx, dWeight);
  }

  /** The losses; fills {@code logSumExp}. */
  private double[] losses(MemoryScope scratch, double[] logSumExp) {
    int ranks = part.group().size();
    double[] own = new double[2 * tokens];
    for (int t = 0; t < tokens; t++) {
      double[] logits = logits(t);
      double max = Double.NEGATIVE_INFINITY;
      for (double logit : logits) {
        max = Math.max(max, logit);
      }
      double sum = 0;
      for (double logit : logits) {
        sum += Math.exp(logit - max);
      }
      int label = labels[t] - part.firstRow();
      own[2 * t] = max + Math.log(sum);
      own[2 * t + 1] = label >= 0 && label < logits.length ? logits[label] : 0;
    }
    double[] all = gather(scratch, own);
    double[] result = new double[tokens];
    for (int t = 0; t < tokens; t++) {
      if (labels[t] < 0) {
        continue;
      }
      double max = Double.NEGATIVE_INFINITY;
      for (int rank = 0; rank < ranks; rank++) {
        max = Math.max(max, all[2 * (rank * tokens + t)]);
      }
      double sum = 0;
      double logit = 0;
      for (int rank = 0; rank < ranks; rank++) {
        sum += Math.exp(all[2 * (rank * tokens + t)] - max);
        logit += all[2 * (rank * tokens + t) + 1];
      }
      logSumExp[t] = max + Math.log(sum);
      result[t] = logSumExp[t] - logit;
    }
    return result;
  }

  private double[] gather(MemoryScope scratch, double[] own) {
    Tensor sent = scratch.allocate("statistics", DType.F64, own.length);
    Tensor received =
        scratch.allocate("statistics of all", DType.F64, (long) part.group().size() * own.length);
    ReferenceArray.write(own, sent);
    part.group().allGather(sent, received);
    double[] all = ReferenceArray.read(received);
    scratch.release(sent);
    scratch.release(received);
    return all;
  }

  private void gradients(double[] logSumExp, double[] upstream, Tensor dx, Tensor dWeight) {
    double[] dxs = new double[tokens * hidden];
    double[] dw = new double[weight.length];
    for (int t = 0; t < tokens; t++) {
      if (labels[t] < 0) {
        continue;
      }
      double[] logits = logits(t);
      for (int v = 0; v < logits.length; v++) {
        double target = v == labels[t] - part.firstRow() ? 1 : 0;
        double dz = upstream[t] * (Math.exp(logits[v] - logSumExp[t]) - target);
        ReferenceArray.addScaled(dz, weight, v * hidden, dxs, t * hidden, hidden);
        ReferenceArray.addScaled(dz, x, t * hidden, dw, v * hidden, hidden);
      }
    }
    ReferenceArray.write(dxs, dx);
    ReferenceArray.accumulate(dw, dWeight);
  }

  /** The row of this rank's logits of token {@code t}. */
  private double[] logits(int t) {
    double[] logits = new double[part.rows()];
    for (int v = 0; v < logits.length; v++) {
      logits[v] = ReferenceArray.dot(x, t * hidden, weight, v * hidden, hidden);
    }
    return logits;
  }
}
