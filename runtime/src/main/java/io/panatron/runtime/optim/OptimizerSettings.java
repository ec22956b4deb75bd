package io.panatron.runtime.optim;

import io.panatron.kernels.DType;
import io.panatron.runtime.UserError;

/**
 * How parameters are updated.
 *
 * @param weightDecay decoupled for Adam; not applied to biases and other one-dimensional parameters
 * @param clipGrad the greatest L2 norm of the gradient; 0 turns clipping off
 * @param epsilon of Adam's denominator
 * @param momentum of SGD
 * @param lossScale of float16 training
 * @param stateDTypes in which dtypes state is stored
 */
public record OptimizerSettings(
    Kind kind,
    double weightDecay,
    double clipGrad,
    double beta1,
    double beta2,
    double epsilon,
    double momentum,
    DynamicLossScale.Settings lossScale,
    StateDTypes stateDTypes) {

  /** The update rules. */
  public enum Kind {
    ADAM,
    SGD
  }

  /** With a loss scale and dtypes of state as by default. */
  public OptimizerSettings(
      Kind kind,
      double weightDecay,
      double clipGrad,
      double beta1,
      double beta2,
      double epsilon,
      double momentum) {
    this(
        kind,
        weightDecay,
        clipGrad,
        beta1,
        beta2,
        epsilon,
        momentum,
        DynamicLossScale.Settings.DEFAULT,
        StateDTypes.DEFAULT);
  }

  public OptimizerSettings {
    requireRange("--weight_decay", weightDecay, 0, Double.MAX_VALUE);
    requireRange("--clip_grad", clipGrad, 0, Double.MAX_VALUE);
    requireRange("--adam_beta1", beta1, 0, Math.nextDown(1.0));
    requireRange("--adam_beta2", beta2, 0, Math.nextDown(1.0));
    requireRange("--adam_eps", epsilon, Double.MIN_VALUE, Double.MAX_VALUE);
    requireRange("--sgd_momentum", momentum, 0, Math.nextDown(1.0));
  }

  /** A scaler for training in this dtype; only float16 needs a scale other than 1. */
  LossScaler lossScaler(DType compute) {
    return compute == DType.F16 ? new DynamicLossScale(lossScale) : new NoLossScale();
  }

  private static void requireRange(String name, double value, double least, double most) {
    if (!(value >= least && value <= most)) {
      throw new UserError(
          name + " is " + value + "; it must be at least " + least + " and at most " + most);
    }
  }
}
