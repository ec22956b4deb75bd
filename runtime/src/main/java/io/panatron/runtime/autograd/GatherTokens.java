package io.panatron.runtime.autograd;

import io.panatron.kernels.Communicator;
import io.panatron.kernels.Tensor;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The way into a part of the model of which each rank of a group computes a share, where outside it
 * each rank has some of the tokens: {@code y} holds the tokens of all ranks in rank order. The
 * gradient of {@code x} is the sum of what the ranks contribute to these tokens.
 *
 * <p><b>Shapes</b>: x: [tokens / ranks, hidden]; y: [tokens, hidden]. Source: Korthikanti et al.,
 * "Reducing Activation Recomputation in Large Transformer Models", section 4.2.2, g.
 *
 * @param kept {@code x} where {@link #discardGathered} may need it, else null
 */
public record GatherTokens(Communicator group, Tensor x, @Nullable Tensor kept, Tensor y)
    implements Op {

  /** Gathers for an operation that keeps nothing. */
  public static Tensor forward(Tape tape, Communicator group, Tensor x) {
    return gather(tape, group, x, false).y;
  }

  /** Gathers for an operation that saves {@code y}, of which only this rank's tokens shall stay. */
  public static GatherTokens keeping(Tape tape, Communicator group, Tensor x) {
    return gather(tape, group, x, true);
  }

  private static GatherTokens gather(Tape tape, Communicator group, Tensor x, boolean keep) {
    Tensor y =
        tape.allocate(
            "tokens of all ranks",
            x.dtype(),
            x.shape().extent(0) * group.size(),
            x.shape().extent(1));
    tape.computeDeferred();
    group.allGather(x, y);
    boolean keeps = keep && tape.isRecording();
    GatherTokens gathered = new GatherTokens(group, x, keeps ? x : null, y);
    if (tape.isRecording()) {
      tape.record(gathered);
    }
    if (!keeps) {
      tape.release(x);
    }
    return gathered;
  }

  /**
   * Lets backward gather the tokens again; to be called when the operation that saves them has
   * taken place. Does nothing where several operations save them.
   */
  public void discardGathered(Tape tape) {
    if (!tape.isRecording() || !tape.isExclusive(y)) {
      return;
    }
    DiscardOutputs.forward(
        tape, List.of(y), later -> group.allGather(Objects.requireNonNull(kept), y));
  }

  @Override
  public void backward(Tape tape) {
    Tensor dy = tape.takeGradient(y);
    Tensor dx = tape.scope().allocate("dx of own tokens", x.dtype(), x.shape());
    group.reduceScatter(dy, dx);
    tape.release(dy);
    if (kept != null) {
      tape.release(kept);
    }
    tape.giveGradient(x, dx);
  }
}
