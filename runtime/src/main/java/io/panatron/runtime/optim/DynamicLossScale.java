package io.panatron.runtime.optim;

import io.panatron.runtime.UserError;
import java.util.Map;

/**
 * A loss scale as large as the gradients allow: it doubles after a window of steps without an
 * overflow and halves when overflows come too often.
 *
 * <p>An overflow takes one from the hysteresis; from the last on, each halves the scale. Only
 * growth restores the hysteresis. Source: Megatron-Core, {@code DynamicGradScaler}.
 */
public final class DynamicLossScale implements LossScaler {
  private static final double GROWTH = 2;
  private static final double BACKOFF = 0.5;

  /**
   * Overflows in a row at the least scale after which no further step can be hoped for. Megatron
   * goes on for ever.
   */
  private static final int HOPELESS = 20;

  private static final String GROWTH_TRACKER = "loss_scale_growth_tracker";
  private static final String HYSTERESIS_TRACKER = "loss_scale_hysteresis_tracker";
  private static final String SCALE = "loss_scale";

  private final Settings settings;
  private double scale;
  private long growthTracker;
  private long hysteresisTracker;
  private int overflowsAtMinimum;

  /**
   * How the scale moves.
   *
   * @param initial the scale of the first step
   * @param minimum the scale does not fall below
   * @param window steps without overflow before the scale doubles
   * @param hysteresis overflows before the scale halves
   */
  public record Settings(double initial, double minimum, int window, int hysteresis) {
    /** Those of Megatron. */
    public static final Settings DEFAULT = new Settings(0x1p32, 1, 1000, 2);

    public Settings {
      if (!(minimum > 0 && initial >= minimum && initial <= Float.MAX_VALUE)) {
        throw new UserError(
            ("--initial_loss_scale %s and --min_loss_scale %s: the least must be above 0, and the"
                    + " initial at least as large and within float32; change one of them.")
                .formatted(initial, minimum));
      }
      if (window < 1 || hysteresis < 1) {
        throw new UserError(
            "--loss_scale_window %d and --hysteresis %d must be at least 1."
                .formatted(window, hysteresis));
      }
    }
  }

  /** A scaler at its initial scale. */
  public DynamicLossScale(Settings settings) {
    this.settings = settings;
    this.scale = settings.initial();
    this.hysteresisTracker = settings.hysteresis();
  }

  @Override
  public double scale() {
    return scale;
  }

  /** Moves the scale after a step. */
  public void update(boolean overflow) {
    if (overflow) {
      overflowsAtMinimum = scale == settings.minimum() ? overflowsAtMinimum + 1 : 0;
      growthTracker = 0;
      hysteresisTracker--;
      if (hysteresisTracker <= 0) {
        scale = Math.max(scale * BACKOFF, settings.minimum());
      }
    } else {
      overflowsAtMinimum = 0;
      growthTracker++;
      if (growthTracker == settings.window()) {
        growthTracker = 0;
        hysteresisTracker = settings.hysteresis();
        scale *= GROWTH;
      }
    }
  }

  /** Whether the scale has long been the least and every step overflowed nevertheless. */
  public boolean isHopeless() {
    return overflowsAtMinimum >= HOPELESS;
  }

  /** The scale by name, for a checkpoint. */
  public Map<String, Double> numbers() {
    return Map.of(SCALE, scale);
  }

  /** The trackers by name, for a checkpoint. */
  public Map<String, Long> counters() {
    return Map.of(GROWTH_TRACKER, growthTracker, HYSTERESIS_TRACKER, hysteresisTracker);
  }

  /**
   * Goes on where a checkpoint stood; settings are this run's.
   *
   * @return false, and nothing changed, if the checkpoint knows no loss scale
   */
  public boolean restore(Map<String, Double> numbers, Map<String, Long> counters) {
    Double saved = numbers.get(SCALE);
    if (saved == null) {
      return false;
    }
    scale = saved;
    growthTracker = counters.getOrDefault(GROWTH_TRACKER, 0L);
    hysteresisTracker = counters.getOrDefault(HYSTERESIS_TRACKER, (long) settings.hysteresis());
    return true;
  }
}
