package io.panatron.runtime.autograd;

import io.panatron.kernels.DType;
import io.panatron.kernels.Shape;
import io.panatron.kernels.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * A named weight: what the forward pass reads, and where its gradient accumulates.
 *
 * <p>A gradient in BF16 is summed in the accumulator dtype within one operation, and rounded when
 * that sum is added: see {@link #beginGradient}.
 *
 * @param value in the compute dtype
 * @param gradient of the same shape in the accumulator dtype or in BF16, or null when the weight is
 *     not trained
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

  /**
   * Where a kernel may add to the gradient: the gradient itself, or zeros in the accumulator dtype
   * where it is stored narrower. {@link #endGradient} takes it back.
   */
  Tensor beginGradient(Tape tape) {
    Tensor total = trainedGradient();
    DType sums = value.dtype().accumulator();
    if (total.dtype() == sums) {
      return total;
    }
    Tensor part = tape.scope().allocate(name + " gradient", sums, total.shape());
    tape.backend().fill(part, 0);
    return part;
  }

  /** As {@link #beginGradient}, but null for a weight that is not trained. */
  @Nullable Tensor beginGradientIfTrained(Tape tape) {
    return isTrained() ? beginGradient(tape) : null;
  }

  /** As {@link #endGradient}, where {@link #beginGradientIfTrained} gave something. */
  void endGradientIfTrained(Tape tape, @Nullable Tensor part) {
    if (part != null) {
      endGradient(tape, part);
    }
  }

  /** Adds what a kernel added, if it did not go to the gradient itself. */
  void endGradient(Tape tape, Tensor part) {
    Tensor total = trainedGradient();
    if (part != total) {
      tape.backend().add(part, total);
      tape.release(part);
    }
    tape.listener().added(this);
  }

  /** The gradient of a weight that is trained. */
  public Tensor trainedGradient() {
    if (gradient == null) {
      throw new IllegalStateException(name + " is not trained and has no gradient");
    }
    return gradient;
  }
}
