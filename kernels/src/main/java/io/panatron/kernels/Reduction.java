package io.panatron.kernels;

/** How a collective combines the values of its ranks. */
public enum Reduction {
  SUM,
  MAX
}
