package io.panatron.runtime.optim;

import io.panatron.runtime.UserError;

/**
 * The learning rate as a function of the samples consumed, as Megatron counts it.
 *
 * <p>Warm-up: {@code max n / warmupSamples} for {@code n <= warmupSamples}. Then with {@code r = (n
 * - warmup) / (decay - warmup)}: constant {@code max}; linear {@code max - (max - min) r}; cosine
 * {@code min + (max - min) (1 + cos(pi r)) / 2}; inverse square root {@code max sqrt(max(warmup,
 * 1)) / sqrt(n)}, not below {@code min}. Past {@code decaySamples} every style but constant stays
 * at {@code min}. Source: Megatron-Core, optimizer_param_scheduler.py.
 *
 * @param maximum peak rate
 * @param minimum floor
 * @param warmupSamples length of the linear rise from 0
 * @param decaySamples where the decay ends, the warm-up included
 */
public record LearningRateSchedule(
    Style style, double maximum, double minimum, long warmupSamples, long decaySamples) {

  /** Shapes of the decay. */
  public enum Style {
    CONSTANT,
    LINEAR,
    COSINE,
    INVERSE_SQUARE_ROOT;

    /** The style of a {@code --lr_decay_style} value. */
    public static Style of(String name) {
      return switch (name) {
        case "constant" -> CONSTANT;
        case "linear" -> LINEAR;
        case "cosine" -> COSINE;
        case "inverse-square-root" -> INVERSE_SQUARE_ROOT;
        default ->
            throw new UserError(
                "--lr_decay_style "
                    + name
                    + " is unknown; use cosine, linear, constant or inverse-square-root");
      };
    }
  }

  public LearningRateSchedule {
    if (!(maximum >= 0) || !(minimum >= 0) || minimum > maximum) {
      throw new UserError(
          "--lr "
              + maximum
              + " and --min_lr "
              + minimum
              + " do not fit: both must be at least 0 and --min_lr at most --lr");
    }
    if (warmupSamples < 0 || decaySamples < 1 || warmupSamples >= decaySamples) {
      throw new UserError(
          "the learning rate warms up for "
              + warmupSamples
              + " samples but decays within "
              + decaySamples
              + "; lower --lr_warmup_iters or --lr_warmup_fraction, or raise --lr_decay_iters");
    }
  }

  /** The rate of the update that follows {@code samples} consumed samples. */
  public double rateAt(long samples) {
    if (warmupSamples > 0 && samples <= warmupSamples) {
      return maximum * samples / warmupSamples;
    }
    if (style == Style.CONSTANT) {
      return maximum;
    }
    if (samples > decaySamples) {
      return minimum;
    }
    if (style == Style.INVERSE_SQUARE_ROOT) {
      double rate =
          maximum * Math.sqrt(Math.max(warmupSamples, 1)) / Math.sqrt(Math.max(samples, 1));
      return Math.max(minimum, rate);
    }
    double r = (double) (samples - warmupSamples) / (decaySamples - warmupSamples);
    double weight = style == Style.LINEAR ? 1 - r : (Math.cos(Math.PI * r) + 1) / 2;
    return minimum + weight * (maximum - minimum);
  }
}
