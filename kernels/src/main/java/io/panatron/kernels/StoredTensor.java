package io.panatron.kernels;

import org.jspecify.annotations.Nullable;

/**
 * Numbers of optimizer state as they lie in memory: {@code values * scale}.
 *
 * <p>F16 and F8_E4M3 have a scale, chosen by whoever writes them so that the largest magnitude
 * meets {@link #largest}; F32 and BF16 are stored as they are. I16 holds the lower halves of F32
 * numbers whose upper halves are the BF16 model: the F32 bits are {@code (model << 16) + values},
 * so that the model is the number rounded to the nearest, ties away from zero. Source: Transformer
 * Engine, {@code fused_adam.py}.
 *
 * @param values [elements]
 * @param scale F32 [1], read and overwritten; null without one
 */
public record StoredTensor(Tensor values, @Nullable Tensor scale) {
  public StoredTensor {
    if (isScaled(values.dtype()) != (scale != null)) {
      throw new IllegalArgumentException(
          values + (scale == null ? " needs a scale" : " has no scale, but one was given"));
    }
    if (scale != null && (scale.dtype() != DType.F32 || scale.elements() != 1)) {
      throw new IllegalArgumentException(
          "the scale of " + values + " is " + scale + ", not F32[1]");
    }
  }

  /** Numbers without a scale. */
  public static StoredTensor of(Tensor values) {
    return new StoredTensor(values, null);
  }

  /** Whether numbers of this dtype are stored with a scale. */
  public static boolean isScaled(DType dtype) {
    return dtype == DType.F16 || dtype == DType.F8_E4M3;
  }

  /**
   * The stored magnitude that the largest number is scaled to: half the range of F16, all of
   * F8_E4M3.
   */
  public static float largest(DType dtype) {
    return switch (dtype) {
      case F16 -> 65504f / 2;
      case F8_E4M3 -> 448;
      case F64, F32, BF16, I16, I32 -> throw new IllegalArgumentException(dtype + " has no scale");
    };
  }

  /** What numbers are divided by so that {@code magnitude}, the largest, meets {@link #largest}. */
  public static float scale(DType dtype, float magnitude) {
    return magnitude / largest(dtype);
  }

  /** What numbers are multiplied by to be stored under a scale; 0 where all of them are 0. */
  public static float reciprocal(float scale) {
    return scale > 0 ? 1 / scale : 0;
  }
}
