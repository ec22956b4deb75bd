package io.panatron.runtime.model;

import org.jspecify.annotations.Nullable;

/**
 * The inverse frequencies of rotary positions, {@code theta^(-2i/rotaryDim)}, scaled as the
 * configuration asks for.
 *
 * <p>Every operation is done in float32 in the order transformers does it, since the angle at a
 * late position multiplies each rounding. The power is rounded correctly; PyTorch's vectorised
 * power may be one unit in the last place off that.
 *
 * <p>Source: {@code compute_default_rope_parameters} and {@code modeling_rope_utils.py} of
 * transformers.
 */
final class RotaryFrequencies {
  private RotaryFrequencies() {}

  /**
   * {@code rotaryDim / 2} values, the fastest first, in radians per token.
   *
   * @param length the longest sequence of the forward pass, on which dynamic scaling and longrope
   *     depend
   */
  static float[] inverse(ModelConfig config, int length) {
    return inverse(config.rotaryDim(), config.ropeTheta(), config.ropeScaling(), length);
  }

  static float[] inverse(int rotaryDim, double theta, @Nullable RopeScaling scaling, int length) {
    float base = (float) theta;
    if (scaling instanceof RopeScaling.Dynamic dynamic) {
      base = grownBase(base, rotaryDim, dynamic, length);
    }
    float[] inverse = new float[rotaryDim / 2];
    for (int i = 0; i < inverse.length; i++) {
      float exponent = (float) (2 * i) / (float) rotaryDim;
      float power = (float) Math.pow(base, exponent);
      inverse[i] =
          switch (scaling) {
            case null -> 1 / power;
            case RopeScaling.Dynamic dynamic -> 1 / power;
            case RopeScaling.Linear linear -> 1 / power / (float) linear.factor();
            case RopeScaling.Llama3 llama3 -> scaled(1 / power, llama3);
            case RopeScaling.Yarn yarn -> blended(power, i, rotaryDim, theta, yarn);
            case RopeScaling.LongRope longRope -> 1 / (divisor(longRope, i, length) * power);
          };
    }
    return inverse;
  }

  private static float grownBase(
      float base, int rotaryDim, RopeScaling.Dynamic scaling, int length) {
    if (length <= scaling.maxPositions()) {
      return base;
    }
    float factor = (float) scaling.factor();
    float growth = factor * length / scaling.maxPositions() - (float) (scaling.factor() - 1);
    return base * (float) Math.pow(growth, (float) (rotaryDim / (rotaryDim - 2.0)));
  }

  private static float divisor(RopeScaling.LongRope scaling, int i, int length) {
    boolean isLong = length > scaling.originalMaxPositions();
    return (float) (double) (isLong ? scaling.longFactors() : scaling.shortFactors()).get(i);
  }

  private static float blended(
      float power, int i, int rotaryDim, double theta, RopeScaling.Yarn scaling) {
    double low = dimension(scaling.betaFast(), rotaryDim, theta, scaling);
    double high = dimension(scaling.betaSlow(), rotaryDim, theta, scaling);
    if (scaling.truncate()) {
      low = Math.floor(low);
      high = Math.ceil(high);
    }
    low = Math.max(low, 0);
    high = Math.min(high, rotaryDim - 1.0);
    if (low == high) {
      high += 0.001;
    }
    float ramp = Math.clamp(((float) i - (float) low) / (float) (high - low), 0f, 1f);
    float kept = 1 - ramp;
    float interpolated = 1 / ((float) scaling.factor() * power);
    return interpolated * (1 - kept) + 1 / power * kept;
  }

  /** Which frequency turns {@code rotations} times within the original context. */
  private static double dimension(
      double rotations, int rotaryDim, double theta, RopeScaling.Yarn scaling) {
    double turns = scaling.originalMaxPositions() / (rotations * 2 * Math.PI);
    return rotaryDim * Math.log(turns) / (2 * Math.log(theta));
  }

  private static float scaled(float frequency, RopeScaling.Llama3 scaling) {
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
