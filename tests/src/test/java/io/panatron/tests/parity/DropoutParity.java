package io.panatron.tests.parity;

import static io.panatron.tests.parity.Tolerances.few;

import io.panatron.kernels.DType;
import io.panatron.kernels.DropoutMask;
import io.panatron.tests.parity.Parity.Pair;
import java.util.ArrayList;
import java.util.List;

/** Dropout of hidden states; what is dropped is exactly 0 on both sides. */
final class DropoutParity {
  private static final int[][] SHAPES = {
    {1, 1}, {3, 2}, {5, 15}, {4, 16}, {7, 63}, {2, 64}, {9, 65}, {301, 130}, {33, 1031}
  };

  private DropoutParity() {}

  static List<ParityCase> cases(DType dtype) {
    List<ParityCase> cases = new ArrayList<>();
    for (int[] shape : SHAPES) {
      for (double probability : new double[] {0, 0.1, 0.5, 0.99}) {
        String name = shape[0] + " x " + shape[1] + " by " + probability;
        DropoutMask mask = new DropoutMask(probability, -3, 7, 2, 11, 0);
        cases.add(new ParityCase("dropout", name, dtype, p -> apart(p, shape[0], shape[1], mask)));
        cases.add(
            new ParityCase(
                "dropout", name + " in place", dtype, p -> inPlace(p, shape[0], shape[1], mask)));
      }
    }
    return cases;
  }

  private static void apart(Parity p, int tokens, int hidden, DropoutMask mask) {
    Pair x = p.normalInput(1, tokens, hidden);
    Pair y = p.output(tokens, hidden);
    p.tested().backend().dropout(x.tested(), mask, y.tested());
    p.reference().backend().dropout(x.reference(), mask, y.reference());
    p.compare("y", y, few(p.compute()));
  }

  private static void inPlace(Parity p, int tokens, int hidden, DropoutMask mask) {
    long count = (long) tokens * hidden;
    Pair x = p.updated(p.compute(), p.normal(1, count), tokens, hidden);
    p.tested().backend().dropout(x.tested(), mask, x.tested());
    p.reference().backend().dropout(x.reference(), mask, x.reference());
    p.compare("x", x, few(p.compute()));
  }
}
