package io.panatron.runtime.autograd;

import io.panatron.kernels.Activation;
import io.panatron.kernels.Tensor;

/**
 * {@code y = f(x)} for each element.
 *
 * <p><b>Shapes</b>: x, y: [tokens, width].
 *
 * @param x saved; backward overwrites it with its own gradient
 */
public record Activate(Activation activation, Tensor x, Tensor y) implements Op {

  public static Tensor forward(Tape tape, Activation activation, Tensor x) {
    Tensor y = tape.allocate("activation", x.dtype(), x.shape().rows(), x.shape().columns());
    tape.backend().activationForward(activation, x, y);
    if (tape.records(!tape.isConstant(x), y)) {
      tape.record(new Activate(activation, x, y));
    } else {
      tape.release(x);
    }
    return y;
  }

  @Override
  public void backward(Tape tape) {
    Tensor dy = tape.takeGradient(y);
    Tensor dx =
        tape.isExclusive(x) ? tape.retain(x) : tape.scope().allocate("dx", x.dtype(), x.shape());
    tape.backend().activationBackward(activation, x, dy, dx);
    tape.release(dy);
    tape.release(x);
    tape.giveGradient(x, dx);
  }
}
