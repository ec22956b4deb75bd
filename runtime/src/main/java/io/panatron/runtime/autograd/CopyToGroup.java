package io.panatron.runtime.autograd;

import io.panatron.kernels.Communicator;
import io.panatron.kernels.Reduction;
import io.panatron.kernels.Tensor;

/**
 * The way into a part of the model of which each rank of a group computes a share: {@code y = x},
 * which all ranks hold alike; the gradient of {@code x} is the sum of what the shares contribute.
 *
 * <p><b>Shapes</b>: x, y: [tokens, hidden]. Source: Shoeybi et al., "Megatron-LM", section 3, f.
 */
public record CopyToGroup(Communicator group, Tensor x, Tensor y) implements Op {

  public static Tensor forward(Tape tape, Communicator group, Tensor x) {
    if (!tape.isRecording()) {
      return x;
    }
    Tensor y = new Tensor(x.buffer(), x.offset(), x.shape(), x.dtype());
    tape.record(new CopyToGroup(group, x, y));
    return y;
  }

  @Override
  public void backward(Tape tape) {
    Tensor dy = tape.takeGradient(y);
    Tensor dx = dy;
    if (!tape.isExclusive(dy)) {
      dx = tape.scope().allocate("dx of all ranks", dy.dtype(), dy.shape());
      tape.backend().copy(dy, dx);
      tape.release(dy);
    }
    group.allReduce(dx, Reduction.SUM);
    tape.giveGradient(x, dx);
  }
}
