package io.panatron.kernels.reference;

import io.panatron.kernels.AdamWStep;
import io.panatron.kernels.SgdStep;
import io.panatron.kernels.Tensor;
import org.jspecify.annotations.Nullable;

/** The updates whose formulas {@link AdamWStep} and {@link SgdStep} state. */
final class ReferenceOptimizer {
  private ReferenceOptimizer() {}

  static void adamW(
      AdamWStep step,
      Tensor parameter,
      Tensor gradient,
      Tensor firstMoment,
      Tensor secondMoment,
      @Nullable Tensor model) {
    double[] p = ReferenceArray.read(parameter);
    double[] grad = ReferenceArray.read(gradient);
    double[] m = ReferenceArray.read(firstMoment);
    double[] v = ReferenceArray.read(secondMoment);
    update(step, p, grad, m, v);
    ReferenceArray.write(m, firstMoment);
    ReferenceArray.write(v, secondMoment);
    writeParameter(p, parameter, model);
  }

  /** Updates {@code p}, {@code m} and {@code v}. */
  static void update(AdamWStep step, double[] p, double[] grad, double[] m, double[] v) {
    double firstCorrection = 1 - Math.pow(step.beta1(), (double) step.step());
    double secondCorrection = 1 - Math.pow(step.beta2(), (double) step.step());
    for (int i = 0; i < p.length; i++) {
      double g = step.gradientScale() * grad[i];
      p[i] *= 1 - step.learningRate() * step.weightDecay();
      m[i] = step.beta1() * m[i] + (1 - step.beta1()) * g;
      v[i] = step.beta2() * v[i] + (1 - step.beta2()) * g * g;
      double denominator = Math.sqrt(v[i] / secondCorrection) + step.epsilon();
      p[i] -= step.learningRate() / firstCorrection * m[i] / denominator;
    }
  }

  static void sgd(
      SgdStep step, Tensor parameter, Tensor gradient, Tensor momentum, @Nullable Tensor model) {
    double[] p = ReferenceArray.read(parameter);
    double[] grad = ReferenceArray.read(gradient);
    double[] b = ReferenceArray.read(momentum);
    for (int i = 0; i < p.length; i++) {
      double g = step.gradientScale() * grad[i] + step.weightDecay() * p[i];
      b[i] = step.step() == 1 ? g : step.momentum() * b[i] + g;
      p[i] -= step.learningRate() * b[i];
    }
    ReferenceArray.write(b, momentum);
    writeParameter(p, parameter, model);
  }

  private static void writeParameter(double[] p, Tensor parameter, @Nullable Tensor model) {
    ReferenceArray.write(p, parameter);
    if (model != null) {
      // The model holds what a reload of the stored parameter would give.
      ReferenceArray.write(ReferenceArray.read(parameter), model);
    }
  }
}
