package io.panatron.runtime.optim;

import io.panatron.runtime.UserError;

/**
 * How parameters are updated.
 *
 * @param weightDecay decoupled for Adam; not applied to biases and other one-dimensional parameters
 * @param clipGrad the greatest L2 norm of the gradient; 0 turns clipping off
 * @param epsilon of Adam's denominator
 * @param momentum of SGD
 */
public record OptimizerSettings(
    Kind kind,
    double weightDecay,
    double clipGrad,
    double beta1,
    double beta2,
    double epsilon,
    double momentum) {

  /** The update rules. */
  public enum Kind {
    ADAM,
    SGD
  }

  public OptimizerSettings {
    requireRange("--weight_decay", weightDecay, 0, Double.MAX_VALUE);
    requireRange("--clip_grad", clipGrad, 0, Double.MAX_VALUE);
    requireRange("--adam_beta1", beta1, 0, Math.nextDown(1.0));
    requireRange("--adam_beta2", beta2, 0, Math.nextDown(1.0));
    requireRange("--adam_eps", epsilon, Double.MIN_VALUE, Double.MAX_VALUE);
    requireRange("--sgd_momentum", momentum, 0, Math.nextDown(1.0));
  }

  private static void requireRange(String name, double value, double least, double most) {
    if (!(value >= least && value <= most)) {
      throw new UserError(
          name + " is " + value + "; it must be at least " + least + " and at most " + most);
    }
  }
}
