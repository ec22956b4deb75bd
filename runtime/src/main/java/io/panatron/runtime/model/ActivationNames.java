package io.panatron.runtime.model;

import io.panatron.kernels.Activation;
import org.jspecify.annotations.Nullable;

/** The names that transformers has for activation functions. */
final class ActivationNames {
  private ActivationNames() {}

  /** The function of a name, or null where there is none. Source: {@code activations.py}. */
  static @Nullable Activation of(String name) {
    return switch (name) {
      case "gelu", "gelu_python" -> Activation.GELU;
      // One formula, written in several ways.
      case "gelu_new", "gelu_pytorch_tanh", "gelu_python_tanh", "gelu_fast", "gelu_accurate" ->
          Activation.GELU_TANH;
      case "quick_gelu" -> Activation.QUICK_GELU;
      case "silu", "swish" -> Activation.SILU;
      case "relu" -> Activation.RELU;
      case "relu2" -> Activation.SQUARED_RELU;
      default -> null;
    };
  }

  static final String SUPPORTED =
      "gelu, gelu_new, gelu_pytorch_tanh, gelu_fast, quick_gelu, silu, relu and relu2";
}
