package io.panatron.kernels.cpu;

import static org.assertj.core.api.Assertions.assertThat;

/** Compares tensors by the norm of their difference. */
final class Differences {
  /**
   * F32 sums of a few thousand products in another order: about sqrt(2000) 2^-24, and some room.
   */
  static final double F32_SUMS = 1e-5;

  /** Results rounded to BF16 on the way: 2^-8 for each element, less for their norm. */
  static final double BF16_STORED = 4e-3;

  private Differences() {}

  static void assertClose(String name, float[] actual, float[] expected, double tolerance) {
    assertThat(actual).as(name).hasSameSizeAs(expected);
    double difference = 0;
    double norm = 0;
    for (int i = 0; i < actual.length; i++) {
      difference += Math.pow((double) actual[i] - expected[i], 2);
      norm += Math.pow(expected[i], 2);
    }
    assertThat(norm).as("squared norm of " + name).isPositive();
    assertThat(Math.sqrt(difference / norm))
        .as("relative difference of " + name)
        .isLessThan(tolerance);
  }
}
