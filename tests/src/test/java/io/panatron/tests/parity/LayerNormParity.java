package io.panatron.tests.parity;

import static io.panatron.tests.parity.Tolerances.cancellation;
import static io.panatron.tests.parity.Tolerances.few;
import static io.panatron.tests.parity.Tolerances.pointwise;
import static io.panatron.tests.parity.Tolerances.sum;

import io.panatron.kernels.DType;
import io.panatron.kernels.Tensor;
import io.panatron.tests.parity.Parity.Pair;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Residual addition with layer norm, with every aliasing the contract allows. */
final class LayerNormParity {
  private LayerNormParity() {}

  /** Which tensor receives the result, where the contract lets one be reused. */
  private enum Target {
    OWN,
    FIRST,
    SECOND
  }

  /**
   * @param deviation of x; at 1e-3 epsilon dominates
   */
  private record Size(int tokens, int hidden, double deviation, double epsilon) {}

  private static final List<Size> SIZES =
      List.of(
          new Size(1, 1, 1, 1e-5),
          new Size(2, 3, 1, 1e-5),
          new Size(3, 17, 1, 1e-6),
          new Size(5, 72, 1e-3, 1e-6),
          new Size(31, 33, 1e-3, 1e-5),
          new Size(33, 127, 1, 1e-6),
          new Size(65, 65, 1e4, 1e-5),
          new Size(127, 1031, 1, 1e-5));

  static List<ParityCase> cases(DType dtype) {
    List<ParityCase> cases = new ArrayList<>();
    for (Size s : SIZES) {
      cases.add(
          new ParityCase("addLayerNormForward", s + " plain", dtype, p -> forward(p, s, null)));
      cases.add(
          new ParityCase(
              "addLayerNormBackward",
              s + " no dSum",
              dtype,
              p -> backward(p, s, false, Target.OWN)));
      cases.add(
          new ParityCase(
              "addLayerNormBackward",
              s + " no dSum, dx in dy",
              dtype,
              p -> backward(p, s, false, Target.SECOND)));
      for (Target target : Target.values()) {
        cases.add(
            new ParityCase(
                "addLayerNormForward", s + " sum " + target, dtype, p -> forward(p, s, target)));
        cases.add(
            new ParityCase(
                "addLayerNormBackward",
                s + " dx " + target,
                dtype,
                p -> backward(p, s, true, target)));
      }
    }
    return cases;
  }

  private static void forward(Parity p, Size s, @Nullable Target target) {
    long[] shape = {s.tokens, s.hidden};
    long count = (long) s.tokens * s.hidden;
    double[] xs = p.normal(s.deviation, count);
    double[] deltas = p.normal(s.deviation / 2, count);
    Pair x = target == Target.FIRST ? p.updated(p.compute(), xs, shape) : p.input(xs, shape);
    @Nullable Pair delta = null;
    if (target != null) {
      delta =
          target == Target.SECOND ? p.updated(p.compute(), deltas, shape) : p.input(deltas, shape);
    }
    @Nullable Pair sum =
        target == null
            ? null
            : switch (target) {
              case OWN -> p.output(shape);
              case FIRST -> x;
              case SECOND -> delta;
            };
    Pair weight = p.normalInput(1, s.hidden);
    Pair bias = p.normalInput(1, s.hidden);
    Pair y = p.output(shape);
    Pair rstd = p.output(p.sums(), s.tokens);
    p.tested()
        .backend()
        .addLayerNormForward(
            x.tested(),
            delta == null ? null : delta.tested(),
            weight.tested(),
            bias.tested(),
            s.epsilon,
            sum == null ? null : sum.tested(),
            y.tested(),
            rstd.tested());
    Tensor normed = x.reference();
    if (sum != null && delta != null) {
      p.reference().backend().add(delta.reference(), x.reference());
      if (sum.reference() != x.reference()) {
        p.reference().backend().copy(x.reference(), sum.reference());
      }
      p.compare("sum", sum, few(p.compute()));
      // The norm is taken of the sum as the tested backend stored it.
      normed = p.reference().tensor(DType.F64, p.tested().read(sum.tested()), shape);
    }
    p.reference()
        .backend()
        .addLayerNormForward(
            normed,
            null,
            weight.reference(),
            bias.reference(),
            s.epsilon,
            null,
            y.reference(),
            rstd.reference());
    // The bias, of size 1, may cancel what it is added to.
    p.compare("y", y, pointwise(p.compute()), cancellation(4));
    p.compare("rstd", rstd, pointwise(p.sums()));
  }

  private static void backward(Parity p, Size s, boolean withSum, Target target) {
    long[] shape = {s.tokens, s.hidden};
    long count = (long) s.tokens * s.hidden;
    Pair sum = p.normalInput(s.deviation, shape);
    Pair weight = p.normalInput(1, s.hidden);
    Pair rstd = rstd(p, s, sum, weight);
    double[] dys = p.normal(s.deviation, count);
    double[] dSums = p.normal(1, count);
    Pair dy = target == Target.SECOND ? p.updated(p.compute(), dys, shape) : p.input(dys, shape);
    @Nullable Pair dSum = null;
    if (withSum) {
      dSum = target == Target.FIRST ? p.updated(p.compute(), dSums, shape) : p.input(dSums, shape);
    }
    Pair fresh = p.output(shape);
    Pair dx = target == Target.SECOND ? dy : target == Target.FIRST && dSum != null ? dSum : fresh;
    Pair dWeight = p.accumulated(1, s.hidden);
    Pair dBias = p.accumulated(1, s.hidden);
    p.tested()
        .backend()
        .addLayerNormBackward(
            p.tested().scope(),
            sum.tested(),
            weight.tested(),
            rstd.tested(),
            dy.tested(),
            dSum == null ? null : dSum.tested(),
            dx.tested(),
            dWeight.tested(),
            dBias.tested());
    p.reference()
        .backend()
        .addLayerNormBackward(
            p.reference().scope(),
            sum.reference(),
            weight.reference(),
            rstd.reference(),
            dy.reference(),
            dSum == null ? null : dSum.reference(),
            fresh.reference(),
            dWeight.reference(),
            dBias.reference());
    double largest = Parity.largest(p.reference().read(rstd.reference())) * Parity.largest(dys);
    Pair result = new Pair(dx.tested(), fresh.reference(), fresh.initial());
    p.compare("dx", result, sum(p.compute()), cancellation(largest + (withSum ? 3 : 0)));
    double terms = Math.sqrt(s.tokens) * Parity.largest(dys);
    // A row whose elements are nearly equal is normed by a large rstd.
    p.compare("dWeight", dWeight, sum(p.sums()), cancellation(4 * terms));
    p.compare("dBias", dBias, sum(p.sums()), cancellation(terms));
  }

  private static Pair rstd(Parity p, Size s, Pair sum, Pair weight) {
    Tensor y = p.reference().empty(DType.F64, s.tokens, s.hidden);
    Tensor rstd = p.reference().empty(DType.F64, s.tokens);
    Tensor bias = p.reference().tensor(DType.F64, new double[s.hidden], s.hidden);
    p.reference()
        .backend()
        .addLayerNormForward(
            sum.reference(), null, weight.reference(), bias, s.epsilon, null, y, rstd);
    return p.shared(p.sums(), rstd);
  }
}
