package io.panatron.runtime.optim;

import io.panatron.kernels.DType;
import io.panatron.runtime.UserError;
import org.jspecify.annotations.Nullable;

/**
 * How parameters are updated.
 *
 * @param weightDecay decoupled for Adam; not applied to biases and other one-dimensional parameters
 * @param clipGrad the greatest L2 norm of the gradient; 0 turns clipping off
 * @param epsilon of Adam's denominator
 * @param momentum of SGD
 * @param lossScale of float16 training
 */
public record OptimizerSettings(
    Kind kind,
    double weightDecay,
    double clipGrad,
    double beta1,
    double beta2,
    double epsilon,
    double momentum,
    LossScale lossScale) {

  /** The update rules. */
  public enum Kind {
    ADAM,
    SGD
  }

  /**
   * How the loss of float16 training is scaled.
   *
   * @param fixed a scale that stays, or null for a dynamic one
   * @param dynamic how a dynamic one moves
   */
  public record LossScale(@Nullable Double fixed, DynamicLossScale.Settings dynamic) {
    /** Dynamic, as Megatron does by default. */
    public static final LossScale DEFAULT = new LossScale(null, DynamicLossScale.Settings.DEFAULT);
  }

  /** With a loss scale as by default. */
  public OptimizerSettings(
      Kind kind,
      double weightDecay,
      double clipGrad,
      double beta1,
      double beta2,
      double epsilon,
      double momentum) {
    this(kind, weightDecay, clipGrad, beta1, beta2, epsilon, momentum, LossScale.DEFAULT);
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
    if (compute != DType.F16) {
      return FixedLossScale.NONE;
    }
    Double fixed = lossScale.fixed();
    return fixed == null ? new DynamicLossScale(lossScale.dynamic()) : new FixedLossScale(fixed);
  }

  private static void requireRange(String name, double value, double least, double most) {
    if (!(value >= least && value <= most)) {
      throw new UserError(
          name + " is " + value + "; it must be at least " + least + " and at most " + most);
    }
  }
}
