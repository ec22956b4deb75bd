package io.panatron.tests.parity;

import static io.panatron.tests.parity.Tolerances.cancellation;
import static io.panatron.tests.parity.Tolerances.pointwise;

import io.panatron.kernels.Activation;
import io.panatron.kernels.DType;
import io.panatron.tests.parity.Parity.Pair;
import java.util.ArrayList;
import java.util.List;

/** Activation functions and their gradients, on numbers of any size. */
final class ActivationParity {
  private ActivationParity() {}

  /** Where a gradient may go, besides a tensor of its own. */
  private enum Target {
    OWN,
    X,
    DY
  }

  static List<ParityCase> cases(DType dtype) {
    List<ParityCase> cases = new ArrayList<>();
    for (Activation activation : Activation.values()) {
      for (int[] size : new int[][] {{1, 1}, {3, 17}, {33, 127}, {5, 1031}, {67, 501}}) {
        for (double deviation : new double[] {1e-3, 1, 30}) {
          String inputs = activation + " " + size[0] + "x" + size[1] + " deviation " + deviation;
          cases.add(
              new ParityCase(
                  "activationForward",
                  inputs,
                  dtype,
                  p -> forward(p, activation, size[0], size[1], deviation)));
          for (Target target : Target.values()) {
            cases.add(
                new ParityCase(
                    "activationBackward",
                    inputs + " dx " + target,
                    dtype,
                    p -> backward(p, activation, size[0], size[1], deviation, target)));
          }
        }
      }
    }
    return cases;
  }

  private static void forward(
      Parity p, Activation activation, int tokens, int width, double deviation) {
    Pair x = p.normalInput(deviation, tokens, width);
    Pair y = p.output(tokens, width);
    p.tested().backend().activationForward(activation, x.tested(), y.tested());
    p.reference().backend().activationForward(activation, x.reference(), y.reference());
    // Below F32's normal range exponentials may flush to zero.
    p.compare("y", y, pointwise(p.compute()), 1e-30);
  }

  private static void backward(
      Parity p, Activation activation, int tokens, int width, double deviation, Target target) {
    double[] values = p.normal(deviation, (long) tokens * width);
    double[] upstream = p.normal(1, (long) tokens * width);
    long[] shape = {tokens, width};
    Pair x = target == Target.X ? p.updated(p.compute(), values, shape) : p.input(values, shape);
    Pair dy =
        target == Target.DY ? p.updated(p.compute(), upstream, shape) : p.input(upstream, shape);
    Pair fresh = p.output(shape);
    Pair dx =
        switch (target) {
          case OWN -> fresh;
          case X -> x;
          case DY -> dy;
        };
    p.tested().backend().activationBackward(activation, x.tested(), dy.tested(), dx.tested());
    p.reference()
        .backend()
        .activationBackward(activation, x.reference(), dy.reference(), fresh.reference());
    // Slopes cross zero near -1, where their terms are of size 1.
    p.compare(
        "dx",
        new Pair(dx.tested(), fresh.reference(), fresh.initial()),
        pointwise(p.compute()),
        cancellation(4 * Math.max(1, deviation)));
  }
}
