package io.panatron.runtime.autograd;

import io.panatron.kernels.Communicator;
import io.panatron.kernels.Tensor;

/**
 * The way out of a part of the model of which each rank of a group computes a share, where outside
 * it each rank has some of the tokens: {@code y} holds this rank's tokens of the sum of the ranks'
 * {@code x}. The gradient of every {@code x} is that of all tokens.
 *
 * <p><b>Shapes</b>: x: [tokens, hidden], of a multiple of ranks; y: [tokens / ranks, hidden].
 * Source: Korthikanti et al., "Reducing Activation Recomputation in Large Transformer Models",
 * section 4.2.2, the conjugate of g.
 */
public record ScatterTokens(Communicator group, Tensor x, Tensor y) implements Op {

  public static Tensor forward(Tape tape, Communicator group, Tensor x) {
    long tokens = x.shape().extent(0);
    if (tokens % group.size() != 0) {
      throw new IllegalArgumentException(
          tokens + " tokens cannot be shared by " + group.size() + " ranks");
    }
    if (!tape.isExclusive(x)) {
      throw new IllegalArgumentException(x.buffer().label() + " is still needed as it is");
    }
    Tensor y = tape.allocate("own tokens", x.dtype(), tokens / group.size(), x.shape().extent(1));
    tape.goOnWhenNeeded(() -> group.reduceScatter(x, y));
    tape.releaseWhenComputed(x);
    if (tape.isRecording()) {
      tape.record(new ScatterTokens(group, x, y));
    }
    return y;
  }

  @Override
  public void backward(Tape tape) {
    Tensor dy = tape.takeGradient(y);
    Tensor dx = tape.scope().allocate("gradient of all tokens", x.dtype(), x.shape());
    group.allGather(dy, dx);
    tape.release(dy);
    tape.giveGradient(x, dx);
  }
}
