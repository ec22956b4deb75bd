package io.panatron.runtime.train;

import io.panatron.runtime.UserError;
import io.panatron.runtime.optim.LearningRateSchedule;

/** Turns the learning-rate parameters, given in iterations, into a schedule in samples. */
final class ScheduleArithmetic {
  private ScheduleArithmetic() {}

  /** Source: Megatron-LM, training.py, {@code get_optimizer_param_scheduler}. */
  static LearningRateSchedule schedule(TrainingConfig config, long trainIterations) {
    TrainingConfig.LearningRate rate = config.learningRate();
    long batch = config.batches().globalBatchSize();
    Long given = rate.decayIterations();
    long decay = Math.max(given == null ? trainIterations : given, 1) * batch;
    Double fraction = rate.warmupFraction();
    if (fraction != null && !(fraction >= 0 && fraction < 1)) {
      throw new UserError(
          "--lr_warmup_fraction is " + fraction + "; it must be at least 0 and below 1");
    }
    long warmup =
        fraction == null ? rate.warmupIterations() * batch : (long) (fraction * (double) decay);
    return new LearningRateSchedule(
        LearningRateSchedule.Style.of(rate.style()), rate.maximum(), rate.minimum(), warmup, decay);
  }
}
