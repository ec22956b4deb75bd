package io.panatron.kernels;

/** A function of one number that an MLP without a gate applies to each element. */
public enum Activation {
  /** {@code x Phi(x)}, Phi the normal distribution. Source: Hendrycks and Gimpel, "GELU". */
  GELU,
  /**
   * {@code x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2}, the approximation in the same paper:
   * {@code gelu_new} of transformers.
   */
  GELU_TANH,
  /** {@code x sigmoid(1.702 x)}, the other approximation in the same paper. */
  QUICK_GELU,
  /** {@code x sigmoid(x)}. */
  SILU,
  /** {@code max(x, 0)}. */
  RELU,
  /** {@code max(x, 0)^2}. Source: So et al., "Primer". */
  SQUARED_RELU
}
