package io.panatron.runtime.autograd;

import io.panatron.kernels.DType;
import io.panatron.kernels.Tensor;

/**
 * {@code y[s] = x[rows[s]]}: some rows of the hidden states, such as the last of each sequence.
 *
 * <p><b>Shapes</b>: x: [tokens, hidden]; rows: distinct; y: [rows, hidden] in the dtype of {@code
 * x}, or in its accumulator dtype. The gradient of all other rows is 0.
 *
 * @param x only its shape and dtype are needed by backward
 */
public record SequenceRows(Tensor x, int[] rows, Tensor y) implements Op {

  public static Tensor forward(Tape tape, Tensor x, int[] rows, DType dtype) {
    Tensor y = tape.allocate("sequence rows", dtype, rows.length, x.shape().columns());
    for (int s = 0; s < rows.length; s++) {
      tape.backend().copy(x.slice(rows[s], 1), y.slice(s, 1));
    }
    if (tape.isRecording()) {
      tape.record(new SequenceRows(x, rows.clone(), y));
    }
    tape.release(x);
    return y;
  }

  @Override
  public void backward(Tape tape) {
    Tensor dy = tape.takeGradient(y);
    Tensor dx = tape.allocate("sequence rows dx", x.dtype(), x.shape().toArray());
    tape.backend().fill(dx, 0);
    for (int s = 0; s < rows.length; s++) {
      tape.backend().copy(dy.slice(s, 1), dx.slice(rows[s], 1));
    }
    tape.release(dy);
    tape.giveGradient(x, dx);
  }
}
