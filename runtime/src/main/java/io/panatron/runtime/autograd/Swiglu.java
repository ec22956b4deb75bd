package io.panatron.runtime.autograd;

import io.panatron.kernels.Tensor;

/**
 * {@code y = gate sigmoid(gate) up}.
 *
 * <p><b>Shapes</b>: gateUp: [tokens, 2 width], gate first; y: [tokens, width].
 *
 * @param gateUp saved; backward overwrites it with its own gradient
 */
public record Swiglu(Tensor gateUp, Tensor y) implements Op {

  public static Tensor forward(Tape tape, Tensor gateUp) {
    Tensor y =
        tape.allocate(
            "swiglu", gateUp.dtype(), gateUp.shape().rows(), gateUp.shape().columns() / 2);
    tape.backend().swigluForward(gateUp, y);
    if (tape.records(!tape.isConstant(gateUp), y)) {
      tape.record(new Swiglu(gateUp, y));
    } else {
      tape.release(gateUp);
    }
    return y;
  }

  @Override
  public void backward(Tape tape) {
    Tensor dy = tape.takeGradient(y);
    Tensor dGateUp;
    if (tape.isExclusive(gateUp)) {
      dGateUp = tape.retain(gateUp);
    } else {
      dGateUp = tape.scope().allocate("dGateUp", gateUp.dtype(), gateUp.shape());
    }
    tape.backend().swigluBackward(gateUp, dy, dGateUp);
    tape.release(dy);
    tape.release(gateUp);
    tape.giveGradient(gateUp, dGateUp);
  }
}
