package io.panatron.runtime.model;

/**
 * The rope scaling of Llama 3.1 and later ({@code rope_type} llama3): long wavelengths are divided,
 * short ones kept, those between blended.
 *
 * @param factor by how much the longest wavelengths grow, at least 1
 * @param lowFreqFactor wavelengths above {@code originalMaxPositions / lowFreqFactor} are scaled in
 *     full
 * @param highFreqFactor wavelengths below {@code originalMaxPositions / highFreqFactor} are kept;
 *     above {@code lowFreqFactor}
 * @param originalMaxPositions the context length of pre-training, in tokens
 */
public record RopeScaling(
    double factor, double lowFreqFactor, double highFreqFactor, int originalMaxPositions) {
  public RopeScaling {
    ConfigRange.check("factor of rope scaling", factor, 1, 1e6);
    ConfigRange.check("low_freq_factor", lowFreqFactor, 1e-6, 1e6);
    ConfigRange.check("high_freq_factor", highFreqFactor, 1e-6, 1e6);
    ConfigRange.check("original_max_position_embeddings", originalMaxPositions, 1, 1 << 30);
    if (highFreqFactor <= lowFreqFactor) {
      throw new IllegalArgumentException(
          "high_freq_factor is %s, but must be greater than low_freq_factor %s"
              .formatted(highFreqFactor, lowFreqFactor));
    }
  }
}
