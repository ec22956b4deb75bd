package io.panatron.runtime.autograd;

import io.panatron.kernels.DropoutMask;
import io.panatron.kernels.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * {@code y = x / (1 - p)} where the mask keeps an element, else 0; the gradient goes the same way.
 *
 * <p><b>Shapes</b>: x, y: [tokens, hidden]. Nothing is saved: the mask is computed again.
 */
public record Dropout(Tensor x, DropoutMask mask, Tensor y) implements Op {

  /**
   * Drops in place where {@code x} has no other holder.
   *
   * @param mask null to return {@code x} as it is
   */
  public static Tensor forward(Tape tape, Tensor x, @Nullable DropoutMask mask) {
    if (mask == null) {
      return x;
    }
    Tensor y =
        tape.isExclusive(x)
            ? new Tensor(x.buffer(), x.offset(), x.shape(), x.dtype())
            : tape.scope().allocate("dropout", x.dtype(), x.shape());
    tape.backend().dropout(x, mask, y);
    if (tape.records(!tape.isConstant(x), y)) {
      tape.record(new Dropout(x, mask, y));
    }
    if (y.buffer() != x.buffer()) {
      tape.release(x);
    }
    return y;
  }

  @Override
  public void backward(Tape tape) {
    Tensor dy = tape.takeGradient(y);
    Tensor dx =
        tape.isExclusive(dy)
            ? tape.retain(dy)
            : tape.scope().allocate("dropout dx", dy.dtype(), dy.shape());
    tape.backend().dropout(dy, mask, dx);
    tape.release(dy);
    tape.giveGradient(x, dx);
  }
}
