package io.panatron.tests.parity;

import static io.panatron.tests.parity.Tolerances.cancellation;
import static io.panatron.tests.parity.Tolerances.pointwise;
import static org.assertj.core.api.Assertions.assertThat;

import io.panatron.kernels.AdamWStep;
import io.panatron.kernels.DType;
import io.panatron.kernels.SgdStep;
import io.panatron.tests.parity.Parity.Pair;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** AdamW and SGD on main parameters in F32, with and without a model copy. */
final class OptimizerParity {
  private OptimizerParity() {}

  private static final List<AdamWStep> ADAM =
      List.of(
          new AdamWStep(1e-2, 0.9, 0.999, 1e-8, 0.1, 1, 1),
          new AdamWStep(3e-2, 0.85, 0.95, 1e-2, 0, 0.37, 7),
          new AdamWStep(0.5, 0.9, 0.95, 1e-5, 0.2, 2.5, 10_000));

  private static final List<SgdStep> SGD =
      List.of(
          new SgdStep(1e-1, 0.9, 0.1, 1, 1),
          new SgdStep(3e-1, 0.7, 0, 0.37, 2),
          new SgdStep(0.5, 0, 0.3, 2.5, 9));

  static List<ParityCase> cases(DType dtype) {
    List<ParityCase> cases = new ArrayList<>();
    for (int count : new int[] {1, 2, 17, 33, 1031, 20_003}) {
      for (boolean model : new boolean[] {false, true}) {
        String inputs = count + (model ? " with model " : " ");
        for (AdamWStep step : ADAM) {
          cases.add(
              new ParityCase("adamW", inputs + step, dtype, p -> adamW(p, step, count, model)));
        }
        for (SgdStep step : SGD) {
          cases.add(new ParityCase("sgd", inputs + step, dtype, p -> sgd(p, step, count, model)));
        }
      }
    }
    return cases;
  }

  private static void adamW(Parity p, AdamWStep step, int count, boolean withModel) {
    Pair parameter = p.accumulated(1, count);
    Pair gradient = p.input(p.sums(), p.normal(1, count), count);
    boolean first = step.step() == 1;
    Pair m = p.updated(p.sums(), p.normal(first ? 0 : 1, count), count);
    Pair v = p.updated(p.sums(), squares(p.normal(first ? 0 : 1, count)), count);
    @Nullable Pair model = withModel ? p.output(count) : null;
    p.tested()
        .backend()
        .adamW(
            step,
            parameter.tested(),
            gradient.tested(),
            m.tested(),
            v.tested(),
            model == null ? null : model.tested());
    p.reference()
        .backend()
        .adamW(
            step, parameter.reference(), gradient.reference(), m.reference(), v.reference(), null);
    p.compare("firstMoment", m, pointwise(p.sums()), cancellation(2));
    p.compare("secondMoment", v, pointwise(p.sums()), cancellation(2));
    compareParameter(p, parameter, model, step.learningRate());
  }

  private static void sgd(Parity p, SgdStep step, int count, boolean withModel) {
    Pair parameter = p.accumulated(1, count);
    Pair gradient = p.input(p.sums(), p.normal(1, count), count);
    // The first step must not read the momentum.
    Pair momentum =
        step.step() == 1
            ? p.output(p.sums(), count)
            : p.updated(p.sums(), p.normal(1, count), count);
    @Nullable Pair model = withModel ? p.output(count) : null;
    p.tested()
        .backend()
        .sgd(
            step,
            parameter.tested(),
            gradient.tested(),
            momentum.tested(),
            model == null ? null : model.tested());
    p.reference()
        .backend()
        .sgd(step, parameter.reference(), gradient.reference(), momentum.reference(), null);
    p.compare("momentum", momentum, pointwise(p.sums()), cancellation(2));
    compareParameter(p, parameter, model, step.learningRate());
  }

  private static void compareParameter(
      Parity p, Pair parameter, @Nullable Pair model, double learningRate) {
    p.compare("parameter", parameter, pointwise(p.sums()), cancellation(1 + learningRate));
    if (model != null) {
      assertThat(p.tested().read(model.tested()))
          .as("the model is the stored parameter, rounded")
          .isEqualTo(Rounding.round(p.compute(), p.tested().read(parameter.tested())));
    }
  }

  private static double[] squares(double[] values) {
    double[] squares = new double[values.length];
    for (int i = 0; i < values.length; i++) {
      squares[i] = values[i] * values[i];
    }
    return squares;
  }
}
