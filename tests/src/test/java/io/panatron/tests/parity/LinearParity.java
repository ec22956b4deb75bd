package io.panatron.tests.parity;

import static io.panatron.tests.parity.Tolerances.cancellation;
import static io.panatron.tests.parity.Tolerances.sum;

import io.panatron.kernels.DType;
import io.panatron.tests.parity.Parity.Pair;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The linear layer and its gradients. */
final class LinearParity {
  private LinearParity() {}

  private record Size(int tokens, int in, int out, double deviation) {}

  private static final List<Size> SIZES =
      List.of(
          new Size(1, 1, 1, 1),
          new Size(2, 3, 5, 1),
          new Size(3, 16, 7, 1),
          new Size(5, 17, 31, 1),
          new Size(17, 33, 63, 1),
          new Size(31, 72, 65, 1),
          new Size(33, 64, 64, 1),
          new Size(63, 127, 40, 1),
          new Size(65, 20, 130, 1),
          new Size(127, 100, 360, 1),
          new Size(7, 1031, 9, 1),
          new Size(300, 9, 12, 1),
          // Few rows, in several pieces of the weight, the last of them smaller.
          new Size(1, 520, 300, 1),
          new Size(6, 2100, 50, 1),
          new Size(48, 72, 930, 1),
          new Size(49, 72, 930, 1),
          new Size(33, 65, 34, 1e4));

  static List<ParityCase> cases(DType dtype) {
    List<ParityCase> cases = new ArrayList<>();
    for (Size s : SIZES) {
      for (boolean bias : new boolean[] {false, true}) {
        String inputs = s + (bias ? " bias" : "");
        cases.add(new ParityCase("linearForward", inputs, dtype, p -> forward(p, s, bias, dtype)));
        if (dtype != dtype.accumulator()) {
          cases.add(
              new ParityCase(
                  "linearForward", inputs + " to F32", dtype, p -> forward(p, s, bias, DType.F32)));
        }
        cases.add(
            new ParityCase("linearBackwardWeight", inputs, dtype, p -> backwardWeight(p, s, bias)));
      }
      cases.add(
          new ParityCase("linearBackwardInput", s.toString(), dtype, p -> backwardInput(p, s)));
    }
    return cases;
  }

  private static void forward(Parity p, Size s, boolean withBias, DType stored) {
    Pair x = p.normalInput(s.deviation, s.tokens, s.in);
    Pair weight = p.normalInput(1, s.out, s.in);
    @Nullable Pair bias = withBias ? p.normalInput(3, s.out) : null;
    Pair y = p.output(stored, s.tokens, s.out);
    p.tested()
        .backend()
        .linearForward(
            p.tested().scope(),
            x.tested(),
            weight.tested(),
            bias == null ? null : bias.tested(),
            y.tested());
    p.reference()
        .backend()
        .linearForward(
            p.reference().scope(),
            x.reference(),
            weight.reference(),
            bias == null ? null : bias.reference(),
            y.reference());
    p.compare("y", y, sum(stored), cancellation(s.deviation * Math.sqrt(s.in)));
  }

  private static void backwardInput(Parity p, Size s) {
    Pair dy = p.normalInput(s.deviation, s.tokens, s.out);
    Pair weight = p.normalInput(1, s.out, s.in);
    Pair dx = p.output(s.tokens, s.in);
    p.tested()
        .backend()
        .linearBackwardInput(p.tested().scope(), dy.tested(), weight.tested(), dx.tested());
    p.reference()
        .backend()
        .linearBackwardInput(
            p.reference().scope(), dy.reference(), weight.reference(), dx.reference());
    p.compare("dx", dx, sum(p.compute()), cancellation(s.deviation * Math.sqrt(s.out)));
  }

  private static void backwardWeight(Parity p, Size s, boolean withBias) {
    Pair x = p.normalInput(1, s.tokens, s.in);
    Pair dy = p.normalInput(s.deviation, s.tokens, s.out);
    Pair dWeight = p.accumulated(1, s.out, s.in);
    @Nullable Pair dBias = withBias ? p.accumulated(1, s.out) : null;
    p.tested()
        .backend()
        .linearBackwardWeight(
            p.tested().scope(),
            x.tested(),
            dy.tested(),
            dWeight.tested(),
            dBias == null ? null : dBias.tested());
    p.reference()
        .backend()
        .linearBackwardWeight(
            p.reference().scope(),
            x.reference(),
            dy.reference(),
            dWeight.reference(),
            dBias == null ? null : dBias.reference());
    double terms = cancellation(s.deviation * Math.sqrt(s.tokens));
    p.compare("dWeight", dWeight, sum(p.sums()), terms);
    if (dBias != null) {
      p.compare("dBias", dBias, sum(p.sums()), terms);
    }
  }
}
