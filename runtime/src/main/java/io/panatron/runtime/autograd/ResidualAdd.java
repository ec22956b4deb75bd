package io.panatron.runtime.autograd;

import io.panatron.kernels.Tensor;

/**
 * {@code sum = x + delta}, where no norm follows that could do the addition on its way ({@link
 * AddRmsNorm}), with the same bits.
 *
 * <p><b>Shapes</b>: x, delta, sum: [tokens, hidden].
 */
public record ResidualAdd(Tensor x, Tensor delta, Tensor sum) implements Op {

  public static Tensor forward(Tape tape, Tensor x, Tensor delta) {
    Tensor sum;
    if (tape.isExclusive(delta)) {
      sum = new Tensor(delta.buffer(), delta.offset(), delta.shape(), delta.dtype());
    } else {
      sum = tape.scope().allocate("residual", delta.dtype(), delta.shape());
      tape.backend().copy(delta, sum);
      tape.release(delta);
    }
    tape.backend().add(x, sum);
    tape.release(x);
    if (tape.records(!tape.isConstant(x) || !tape.isConstant(delta), sum)) {
      tape.record(new ResidualAdd(x, delta, sum));
    }
    return sum;
  }

  @Override
  public void backward(Tape tape) {
    Tensor dSum = tape.takeGradient(sum);
    tape.giveGradient(delta, tape.retain(dSum));
    tape.giveGradient(x, dSum);
  }
}
