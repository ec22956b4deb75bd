package io.panatron.runtime.autograd;

/** Hears of the gradients of parameters, so that finished ones can be used before backward ends. */
@FunctionalInterface
public interface GradientListener {
  /** Nobody listens. */
  GradientListener NONE = parameter -> {};

  /** An operation has added its part to the gradient of this parameter. */
  void added(Parameter parameter);
}
