package io.panatron.runtime.autograd;

import io.panatron.kernels.Shape;
import io.panatron.kernels.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * A named weight: what the forward pass reads, and where its gradient accumulates.
 *
 * @param value in the compute dtype
 * @param gradient of the same shape in the accumulator dtype, or null when the weight is not
 *     trained
 */
public record Parameter(String name, Tensor value, @Nullable Tensor gradient) {
  public Parameter {
    if (gradient != null && !gradient.shape().equals(value.shape())) {
      throw new IllegalArgumentException(
          name + " has shape " + value.shape() + " and a gradient of " + gradient.shape());
    }
  }

  public Shape shape() {
    return value.shape();
  }

  public boolean isTrained() {
    return gradient != null;
  }

  /** The gradient of a weight that is trained. */
  public Tensor trainedGradient() {
    if (gradient == null) {
      throw new IllegalStateException(name + " is not trained and has no gradient");
    }
    return gradient;
  }
}
