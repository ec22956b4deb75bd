package io.panatron.runtime.autograd;

import io.panatron.kernels.Backend;
import io.panatron.kernels.DType;
import io.panatron.kernels.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * {@code y = x weight^T + bias}.
 *
 * <p><b>Shapes</b>: x: [tokens, in]; weight: [out, in]; bias: [out]; y: [tokens, out].
 *
 * @param x saved input
 */
public record Linear(Tensor x, Parameter weight, @Nullable Parameter bias, Tensor y) implements Op {

  public static Tensor forward(Tape tape, Tensor x, Parameter weight, @Nullable Parameter bias) {
    Tensor y = product(tape, x, weight, bias, x.dtype());
    if (tape.isRecording()) {
      tape.record(new Linear(x, weight, bias, y));
    } else {
      tape.release(x);
    }
    return y;
  }

  /**
   * The logits of a language-model head in the accumulator dtype; not differentiable, for sampling.
   */
  public static Tensor logits(Tape tape, Tensor x, Parameter head) {
    Tensor y = product(tape, x, head, null, x.dtype().accumulator());
    tape.release(x);
    return y;
  }

  private static Tensor product(
      Tape tape, Tensor x, Parameter weight, @Nullable Parameter bias, DType dtype) {
    Tensor y = tape.allocate(weight.name(), dtype, x.shape().rows(), weight.shape().extent(0));
    Backend backend = tape.backend();
    Tensor addend = bias == null ? null : bias.value();
    tape.computeWhenNeeded(() -> backend.linearForward(tape.scope(), x, weight.value(), addend, y));
    return y;
  }

  @Override
  public void backward(Tape tape) {
    Tensor dy = tape.takeGradient(y);
    if (weight.isTrained()) {
      Tensor dWeight = weight.beginGradient(tape);
      Tensor dBias = bias == null || !bias.isTrained() ? null : bias.beginGradient(tape);
      tape.backend().linearBackwardWeight(tape.scope(), x, dy, dWeight, dBias);
      weight.endGradient(tape, dWeight);
      if (bias != null && dBias != null) {
        bias.endGradient(tape, dBias);
      }
    }
    tape.release(x);
    Tensor dx =
        tape.allocate(weight.name() + " dx", dy.dtype(), x.shape().rows(), x.shape().columns());
    tape.backend().linearBackwardInput(tape.scope(), dy, weight.value(), dx);
    tape.release(dy);
    tape.giveGradient(x, dx);
  }
}
