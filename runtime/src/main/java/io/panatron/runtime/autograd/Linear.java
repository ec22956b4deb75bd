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
 * @param x saved input where the weight is trained; else its handle alone
 */
public record Linear(Tensor x, Parameter weight, @Nullable Parameter bias, Tensor y) implements Op {

  public static Tensor forward(Tape tape, Tensor x, Parameter weight, @Nullable Parameter bias) {
    Tensor y = product(tape, x, weight, bias, x.dtype());
    boolean trained = weight.isTrained() || (bias != null && bias.isTrained());
    boolean recorded = tape.records(trained || !tape.isConstant(x), y);
    if (recorded) {
      tape.record(new Linear(x, weight, bias, y));
    }
    if (!recorded || !weight.isTrained()) {
      tape.releaseWhenComputed(x);
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
    Tensor dWeight = weight.beginGradientIfTrained(tape);
    Tensor dBias = bias == null ? null : bias.beginGradientIfTrained(tape);
    if (dWeight != null || dBias != null) {
      tape.backend().linearBackwardWeight(tape.scope(), x, dy, dWeight, dBias);
    }
    weight.endGradientIfTrained(tape, dWeight);
    if (bias != null) {
      bias.endGradientIfTrained(tape, dBias);
    }
    if (weight.isTrained()) {
      tape.release(x);
    }
    if (!tape.isConstant(x)) {
      Tensor dx =
          tape.allocate(weight.name() + " dx", dy.dtype(), x.shape().rows(), x.shape().columns());
      tape.backend().linearBackwardInput(tape.scope(), dy, weight.value(), dx);
      tape.giveGradient(x, dx);
    }
    tape.release(dy);
  }
}
