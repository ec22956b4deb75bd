package io.panatron.tests.parity;

import static io.panatron.tests.parity.Tolerances.cancellation;
import static io.panatron.tests.parity.Tolerances.pointwise;

import io.panatron.kernels.DType;
import io.panatron.tests.parity.Parity.Pair;
import java.util.ArrayList;
import java.util.List;

/** SwiGLU and its gradient, gates of any size. */
final class SwigluParity {
  private SwigluParity() {}

  static List<ParityCase> cases(DType dtype) {
    List<ParityCase> cases = new ArrayList<>();
    for (int[] size : new int[][] {{1, 1}, {2, 3}, {3, 17}, {17, 65}, {33, 127}, {127, 360}}) {
      for (double deviation : new double[] {1, 30, 200}) {
        String inputs = size[0] + "x" + size[1] + " deviation " + deviation;
        cases.add(
            new ParityCase(
                "swigluForward", inputs, dtype, p -> forward(p, size[0], size[1], deviation)));
        for (boolean alias : new boolean[] {false, true}) {
          cases.add(
              new ParityCase(
                  "swigluBackward",
                  inputs + (alias ? " in place" : ""),
                  dtype,
                  p -> backward(p, size[0], size[1], deviation, alias)));
        }
      }
    }
    return cases;
  }

  private static void forward(Parity p, int tokens, int width, double deviation) {
    Pair gateUp = p.normalInput(deviation, tokens, 2L * width);
    Pair y = p.output(tokens, width);
    p.tested().backend().swigluForward(gateUp.tested(), y.tested());
    p.reference().backend().swigluForward(gateUp.reference(), y.reference());
    // Below F32's normal range exponentials may flush to zero.
    p.compare("y", y, pointwise(p.compute()), 1e-30);
  }

  private static void backward(Parity p, int tokens, int width, double deviation, boolean alias) {
    double[] values = p.normal(deviation, 2L * tokens * width);
    long[] shape = {tokens, 2L * width};
    Pair gateUp = alias ? p.updated(p.compute(), values, shape) : p.input(values, shape);
    Pair dy = p.normalInput(1, tokens, width);
    Pair fresh = p.output(shape);
    Pair dGateUp = alias ? gateUp : fresh;
    p.tested().backend().swigluBackward(gateUp.tested(), dy.tested(), dGateUp.tested());
    p.reference().backend().swigluBackward(gateUp.reference(), dy.reference(), fresh.reference());
    // 1 + gate (1 - sigmoid) crosses zero near gate = -1.28, where its terms are of size 1.
    p.compare(
        "dGateUp",
        new Pair(dGateUp.tested(), fresh.reference(), fresh.initial()),
        pointwise(p.compute()),
        cancellation(deviation));
  }
}
