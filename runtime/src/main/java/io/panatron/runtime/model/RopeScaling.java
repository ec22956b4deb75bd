package io.panatron.runtime.model;

import java.util.List;

/**
 * How the rotary frequencies of a model are stretched to longer contexts than it was trained on.
 *
 * <p>Source: {@code modeling_rope_utils.py} of transformers 5.18, whose {@code rope_type} names the
 * kinds.
 */
public sealed interface RopeScaling {
  /** What the cosines and sines are multiplied by. */
  default double attentionFactor() {
    return 1;
  }

  /** Every frequency divided by a factor of at least 1. */
  record Linear(double factor) implements RopeScaling {
    public Linear {
      checkFactor(factor);
    }
  }

  /**
   * The base grows with the longest sequence of a forward pass, once that is longer than the model
   * was made for ("NTK-aware" scaling).
   *
   * @param maxPositions up to this length nothing changes
   */
  record Dynamic(double factor, int maxPositions) implements RopeScaling {
    public Dynamic {
      checkFactor(factor);
      ConfigRange.check("max_position_embeddings", maxPositions, 1, 1 << 30);
    }
  }

  /**
   * Slow frequencies are divided by the factor, fast ones kept, those between blended, and the
   * scores sharpened. Source: Peng et al., "YaRN".
   *
   * @param betaFast rotations within the original context from which a frequency is kept
   * @param betaSlow rotations up to which it is divided in full
   * @param truncate whether the two bounds are widened to whole frequencies
   */
  record Yarn(
      double factor,
      int originalMaxPositions,
      double betaFast,
      double betaSlow,
      double attentionFactor,
      boolean truncate)
      implements RopeScaling {
    public Yarn {
      checkFactor(factor);
      checkOriginal(originalMaxPositions);
      ConfigRange.check("beta_fast of rope scaling", betaFast, 1e-6, 1e6);
      ConfigRange.check("beta_slow of rope scaling", betaSlow, 1e-6, 1e6);
      ConfigRange.check("attention_factor of rope scaling", attentionFactor, 1e-6, 1e6);
      if (betaFast < betaSlow) {
        throw new IllegalArgumentException(
            "beta_fast is %s, but must be at least beta_slow %s".formatted(betaFast, betaSlow));
      }
    }

    /** The attention factor that the paper gives a factor, times {@code mscale} in its growth. */
    static double sharpening(double factor, double mscale) {
      return factor <= 1 ? 1 : 0.1 * mscale * Math.log(factor) + 1;
    }
  }

  /**
   * Each frequency has its own divisor, one list for forward passes up to the original context,
   * another where a sequence is longer. Source: Ding et al., "LongRoPE".
   */
  record LongRope(
      List<Double> shortFactors,
      List<Double> longFactors,
      int originalMaxPositions,
      double attentionFactor)
      implements RopeScaling {
    public LongRope {
      checkOriginal(originalMaxPositions);
      ConfigRange.check("attention_factor of rope scaling", attentionFactor, 1e-6, 1e6);
      shortFactors = checked("short_factor", shortFactors);
      longFactors = checked("long_factor", longFactors);
      if (shortFactors.size() != longFactors.size()) {
        throw new IllegalArgumentException(
            "short_factor has %d numbers, but long_factor has %d"
                .formatted(shortFactors.size(), longFactors.size()));
      }
    }

    private static List<Double> checked(String key, List<Double> factors) {
      for (double factor : factors) {
        ConfigRange.check(key + " of rope scaling", factor, 1e-6, 1e9);
      }
      return List.copyOf(factors);
    }

    /** The attention factor of a model whose context grew by {@code factor}. */
    static double sharpening(double factor, int originalMaxPositions) {
      return factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(originalMaxPositions));
    }
  }

  /**
   * The scaling of Llama 3.1 and later: long wavelengths are divided, short ones kept, those
   * between blended.
   *
   * @param factor by how much the longest wavelengths grow, at least 1
   * @param lowFreqFactor wavelengths above {@code originalMaxPositions / lowFreqFactor} are scaled
   *     in full
   * @param highFreqFactor wavelengths below {@code originalMaxPositions / highFreqFactor} are kept;
   *     above {@code lowFreqFactor}
   * @param originalMaxPositions the context length of pre-training, in tokens
   */
  record Llama3(
      double factor, double lowFreqFactor, double highFreqFactor, int originalMaxPositions)
      implements RopeScaling {
    public Llama3 {
      checkFactor(factor);
      ConfigRange.check("low_freq_factor", lowFreqFactor, 1e-6, 1e6);
      ConfigRange.check("high_freq_factor", highFreqFactor, 1e-6, 1e6);
      checkOriginal(originalMaxPositions);
      if (highFreqFactor <= lowFreqFactor) {
        throw new IllegalArgumentException(
            "high_freq_factor is %s, but must be greater than low_freq_factor %s"
                .formatted(highFreqFactor, lowFreqFactor));
      }
    }
  }

  private static void checkFactor(double factor) {
    ConfigRange.check("factor of rope scaling", factor, 1, 1e6);
  }

  private static void checkOriginal(int originalMaxPositions) {
    ConfigRange.check("original_max_position_embeddings", originalMaxPositions, 1, 1 << 30);
  }
}
