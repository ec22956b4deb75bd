package io.panatron.tests.parity;

import static io.panatron.tests.parity.Tolerances.cancellation;
import static io.panatron.tests.parity.Tolerances.insideRounded;
import static io.panatron.tests.parity.Tolerances.pointwise;
import static org.assertj.core.api.Assertions.assertThat;

import io.panatron.kernels.Backend;
import io.panatron.kernels.DType;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import io.panatron.tests.parity.Parity.Pair;
import java.util.ArrayList;
import java.util.List;

/** The language-model head with its loss: forward, backward, and both at once. */
final class LinearCrossEntropyParity {
  private LinearCrossEntropyParity() {}

  /**
   * @param every one token of so many is ignored; 1 ignores all, 0 none
   * @param peak about the largest logit
   */
  private record Size(int tokens, int hidden, int vocab, int every, double peak) {}

  private static final List<Size> SIZES =
      List.of(
          new Size(1, 1, 2, 0, 3),
          new Size(2, 3, 7, 0, 3),
          new Size(3, 72, 7, 2, 3),
          new Size(5, 17, 7, 1, 3),
          new Size(17, 33, 360, 3, 3),
          new Size(31, 72, 360, 0, 3),
          new Size(33, 64, 1031, 0, 3),
          new Size(63, 65, 360, 1, 3),
          new Size(65, 40, 1031, 2, 3),
          new Size(127, 100, 1031, 3, 3),
          new Size(300, 20, 360, 4, 3),
          new Size(33, 72, 360, 5, 80),
          new Size(65, 64, 1031, 0, 80));

  static List<ParityCase> cases(DType dtype) {
    List<ParityCase> cases = new ArrayList<>();
    for (Size s : SIZES) {
      cases.add(
          new ParityCase("linearCrossEntropyForward", s.toString(), dtype, p -> forward(p, s)));
      cases.add(
          new ParityCase("linearCrossEntropyBackward", s.toString(), dtype, p -> backward(p, s)));
      cases.add(
          new ParityCase(
              "linearCrossEntropyForwardBackward",
              s.toString(),
              dtype,
              p -> atOnce(p, s, Backend::linearCrossEntropyForwardBackward, 1)));
      // The upstream gradient has the rounding of a probability, too.
      cases.add(
          new ParityCase(
              "linearDftForwardBackward",
              s.toString(),
              dtype,
              p -> atOnce(p, s, Backend::linearDftForwardBackward, 2)));
    }
    return cases;
  }

  private static final class Inputs {
    final Pair x;
    final Pair weight;
    final Pair labels;
    final int[] targets;

    Inputs(Parity p, Size s) {
      x = p.normalInput(1, s.tokens, s.hidden);
      weight = p.normalInput(s.peak / 3.5 / Math.sqrt(s.hidden), s.vocab, s.hidden);
      targets = p.random().ints(s.tokens, 0, s.vocab).toArray();
      targets[0] = s.vocab - 1;
      for (int t = 0; t < s.tokens; t++) {
        if (s.every > 0 && t % s.every == s.every - 1) {
          targets[t] = t % 2 == 0 ? -100 : -1;
        }
      }
      labels = p.integers(targets);
    }
  }

  private static void forward(Parity p, Size s) {
    Inputs in = new Inputs(p, s);
    Pair losses = p.output(p.sums(), s.tokens);
    Pair logSumExp = p.output(p.sums(), s.tokens);
    p.tested()
        .backend()
        .linearCrossEntropyForward(
            p.tested().scope(),
            in.x.tested(),
            in.weight.tested(),
            in.labels.tested(),
            losses.tested(),
            logSumExp.tested());
    p.reference()
        .backend()
        .linearCrossEntropyForward(
            p.reference().scope(),
            in.x.reference(),
            in.weight.reference(),
            in.labels.reference(),
            losses.reference(),
            logSumExp.reference());
    compareLosses(p, s, in, losses);
    double[] actual = p.tested().read(logSumExp.tested());
    double[] expected = p.reference().read(logSumExp.reference());
    for (int t = 0; t < s.tokens; t++) {
      if (in.targets[t] >= 0) {
        // Of an ignored token the contract leaves it open.
        assertThat(Math.abs(actual[t] - expected[t]))
            .as("logSumExp of token %s: %s, the reference has %s", t, actual[t], expected[t])
            .isLessThanOrEqualTo(1e-5 * Math.abs(expected[t]) + 2 * cancellation(s.peak));
      }
    }
  }

  private static void backward(Parity p, Size s) {
    Inputs in = new Inputs(p, s);
    Tensor exactLosses = p.reference().empty(DType.F64, s.tokens);
    Tensor exactLog = p.reference().empty(DType.F64, s.tokens);
    p.reference()
        .backend()
        .linearCrossEntropyForward(
            p.reference().scope(),
            in.x.reference(),
            in.weight.reference(),
            in.labels.reference(),
            exactLosses,
            exactLog);
    Pair logSumExp = p.shared(p.sums(), exactLog);
    Pair dLosses = p.input(p.sums(), p.normal(1, s.tokens), s.tokens);
    Pair dx = p.output(s.tokens, s.hidden);
    Pair dWeight = p.accumulated(0.01, s.vocab, s.hidden);
    p.tested()
        .backend()
        .linearCrossEntropyBackward(
            p.tested().scope(),
            in.x.tested(),
            in.weight.tested(),
            in.labels.tested(),
            logSumExp.tested(),
            dLosses.tested(),
            dx.tested(),
            dWeight.tested());
    p.reference()
        .backend()
        .linearCrossEntropyBackward(
            p.reference().scope(),
            in.x.reference(),
            in.weight.reference(),
            in.labels.reference(),
            logSumExp.reference(),
            dLosses.reference(),
            dx.reference(),
            dWeight.reference());
    compareGradients(p, s, in, dLosses, dx, dWeight, 1);
  }

  /** Forward and backward at once, as {@link Backend} declares it. */
  private interface AtOnce {
    void run(
        Backend backend,
        MemoryScope scratch,
        Tensor x,
        Tensor weight,
        Tensor labels,
        Tensor dLosses,
        Tensor losses,
        Tensor dx,
        Tensor dWeight);
  }

  private static void atOnce(Parity p, Size s, AtOnce operation, int roundings) {
    Inputs in = new Inputs(p, s);
    Pair dLosses = p.input(p.sums(), p.normal(1, s.tokens), s.tokens);
    Pair losses = p.output(p.sums(), s.tokens);
    Pair dx = p.output(s.tokens, s.hidden);
    Pair dWeight = p.accumulated(0.01, s.vocab, s.hidden);
    operation.run(
        p.tested().backend(),
        p.tested().scope(),
        in.x.tested(),
        in.weight.tested(),
        in.labels.tested(),
        dLosses.tested(),
        losses.tested(),
        dx.tested(),
        dWeight.tested());
    operation.run(
        p.reference().backend(),
        p.reference().scope(),
        in.x.reference(),
        in.weight.reference(),
        in.labels.reference(),
        dLosses.reference(),
        losses.reference(),
        dx.reference(),
        dWeight.reference());
    compareLosses(p, s, in, losses);
    compareGradients(p, s, in, dLosses, dx, dWeight, roundings);
  }

  private static void compareLosses(Parity p, Size s, Inputs in, Pair losses) {
    p.compare("losses", losses, pointwise(p.sums()), 2 * cancellation(s.peak));
    double[] actual = p.tested().read(losses.tested());
    for (int t = 0; t < s.tokens; t++) {
      if (in.targets[t] < 0) {
        assertThat(actual[t]).as("loss of ignored token %s", t).isZero();
      }
    }
  }

  private static void compareGradients(
      Parity p, Size s, Inputs in, Pair dLosses, Pair dx, Pair dWeight, int roundings) {
    // Logits of size peak are rounded, and with them the probabilities: one of size 1 by this much.
    double probability = 2 * roundings * cancellation(s.peak) * Parity.largest(dLosses.initial());
    p.compare(
        "dx",
        dx,
        insideRounded(p.compute(), p.compute()),
        probability * Parity.largest(in.weight.initial()));
    p.compare(
        "dWeight",
        dWeight,
        insideRounded(p.compute(), p.sums()),
        probability * Parity.largest(in.x.initial()));
    double[] rows = p.tested().read(dx.tested());
    for (int t = 0; t < s.tokens; t++) {
      if (in.targets[t] < 0) {
        for (int i = 0; i < s.hidden; i++) {
          assertThat(rows[t * s.hidden + i]).as("dx of ignored token %s", t).isZero();
        }
      }
    }
  }
}
