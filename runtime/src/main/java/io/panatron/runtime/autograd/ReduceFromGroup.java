package io.panatron.runtime.autograd;

import io.panatron.kernels.Communicator;
import io.panatron.kernels.Reduction;
import io.panatron.kernels.Tensor;

/**
 * The way out of a part of the model of which each rank of a group computes a share: {@code y} is
 * the sum of the ranks' {@code x}, and its gradient is that of each of them.
 *
 * <p><b>Shapes</b>: x, y: [tokens, hidden]; y takes the place of x. Source: Shoeybi et al.,
 * "Megatron-LM", section 3, g.
 *
 * @param x of one holder: an operation that saves no output made it
 */
public record ReduceFromGroup(Tensor x, Tensor y) implements Op {

  public static Tensor forward(Tape tape, Communicator group, Tensor x) {
    if (!tape.isExclusive(x)) {
      throw new IllegalArgumentException(x.buffer().label() + " is still needed as it is");
    }
    Tensor y = new Tensor(x.buffer(), x.offset(), x.shape(), x.dtype());
    tape.goOnWhenNeeded(() -> group.allReduce(y, Reduction.SUM));
    if (tape.isRecording()) {
      tape.record(new ReduceFromGroup(x, y));
    }
    return y;
  }

  @Override
  public void backward(Tape tape) {
    tape.giveGradient(x, tape.takeGradient(y));
  }
}
