package io.panatron.runtime.model;

import org.jspecify.annotations.Nullable;

/**
 * The inverse frequencies of rotary positions, {@code theta^(-2i/headDim)}, with llama3 scaling
 * where the configuration asks for it.
 *
 * <p>Every operation is done in float32 in the order transformers does it, since the angle at a
 * late position multiplies each rounding. The power is rounded correctly; PyTorch's vectorised
 * power may be one unit in the last place off that.
 *
 * <p>Source: {@code compute_default_rope_parameters} and {@code _compute_llama3_parameters} of
 * transformers.
 */
public final class RotaryFrequencies {
  private RotaryFrequencies() {}

  /** {@code headDim / 2} values, the fastest first, in radians per token. */
  public static float[] inverse(ModelConfig config) {
    return inverse(config.headDim(), config.ropeTheta(), config.ropeScaling());
  }

  static float[] inverse(int headDim, double theta, @Nullable RopeScaling scaling) {
    float[] inverse = new float[headDim / 2];
    for (int i = 0; i < inverse.length; i++) {
      float exponent = (float) (2 * i) / (float) headDim;
      float power = (float) Math.pow((float) theta, exponent);
      float frequency = 1.0f / power;
      inverse[i] = scaling == null ? frequency : scaled(frequency, scaling);
    }
    return inverse;
  }

  private static float scaled(float frequency, RopeScaling scaling) {
    double original = scaling.originalMaxPositions();
    float longest = (float) (original / scaling.lowFreqFactor());
    float shortest = (float) (original / scaling.highFreqFactor());
    float factor = (float) scaling.factor();
    // PyTorch divides a number by a tensor as reciprocal times number.
    float wavelength = (1.0f / frequency) * (float) (2 * Math.PI);
    if (wavelength > longest) {
      return frequency / factor;
    }
    if (wavelength < shortest) {
      return frequency;
    }
    float rotations = (1.0f / wavelength) * (float) original;
    float smooth =
        (rotations - (float) scaling.lowFreqFactor())
            / (float) (scaling.highFreqFactor() - scaling.lowFreqFactor());
    return (1.0f - smooth) * frequency / factor + smooth * frequency;
  }
}
