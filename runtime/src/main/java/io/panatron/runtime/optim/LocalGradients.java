package io.panatron.runtime.optim;

import io.panatron.kernels.Backend;
import io.panatron.runtime.autograd.Parameter;
import io.panatron.runtime.nn.ParameterStore;
import org.jspecify.annotations.Nullable;

/** The gradients of one rank that has all of them. */
record LocalGradients(Backend backend, ParameterStore store) implements GradientGroup {
  @Override
  public void complete() {}

  @Override
  public double sumOfSquares() {
    return backend.sumOfSquares(store.gradients());
  }

  @Override
  public String firstNonFinite() {
    String name = firstNonFinite(backend, store);
    if (name == null) {
      throw overflow();
    }
    return name;
  }

  static @Nullable String firstNonFinite(Backend backend, ParameterStore store) {
    for (Parameter parameter : store.all()) {
      if (!Double.isFinite(backend.sumOfSquares(parameter.trainedGradient()))) {
        return parameter.name();
      }
    }
    return null;
  }

  static IllegalStateException overflow() {
    return new IllegalStateException("the gradient norm overflows although every part is finite");
  }
}
