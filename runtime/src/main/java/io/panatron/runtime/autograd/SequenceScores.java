package io.panatron.runtime.autograd;

import io.panatron.kernels.Backend;
import io.panatron.kernels.Tensor;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * {@code y = x head[rows]^T}: what an output head, or some rows of it, makes of a few hidden
 * states.
 *
 * <p><b>Shapes</b>: x: [sequences, hidden]; head: [out, hidden]; y: [sequences, rows], or
 * [sequences, out] where no rows are named, in the accumulator dtype. The gradient of {@code y} is
 * rounded to the dtype of {@code x} before the products.
 *
 * @param x saved input
 * @param rows of the head, distinct; null for all
 * @param weight the rows that were used, [rows, hidden]
 */
public record SequenceScores(
    Tensor x, Parameter head, @Nullable List<Integer> rows, Tensor weight, Tensor y) implements Op {

  public static Tensor forward(Tape tape, Tensor x, Parameter head, @Nullable List<Integer> rows) {
    Tensor weight = rows == null ? head.value() : gathered(tape, head, rows);
    Tensor y =
        tape.allocate(
            "scores", x.dtype().accumulator(), x.shape().rows(), weight.shape().extent(0));
    tape.backend().linearForward(tape.scope(), x, weight, null, y);
    if (tape.isRecording()) {
      tape.record(new SequenceScores(x, head, rows, weight, y));
    } else {
      tape.release(x);
      if (rows != null) {
        tape.release(weight);
      }
    }
    return y;
  }

  private static Tensor gathered(Tape tape, Parameter head, List<Integer> rows) {
    Tensor value = head.value();
    Tensor weight = tape.allocate("head rows", value.dtype(), rows.size(), value.shape().columns());
    for (int i = 0; i < rows.size(); i++) {
      tape.backend().copy(value.slice(rows.get(i), 1), weight.slice(i, 1));
    }
    return weight;
  }

  @Override
  public void backward(Tape tape) {
    Backend backend = tape.backend();
    Tensor dy = tape.takeGradient(y);
    if (dy.dtype() != x.dtype()) {
      Tensor rounded = tape.allocate("scores dy", x.dtype(), dy.shape().toArray());
      backend.copy(dy, rounded);
      tape.release(dy);
      dy = rounded;
    }
    if (head.isTrained()) {
      addToHead(tape, dy);
    }
    Tensor dx = tape.allocate("scores dx", x.dtype(), x.shape().toArray());
    backend.linearBackwardInput(tape.scope(), dy, weight, dx);
    tape.release(dy);
    if (rows != null) {
      tape.release(weight);
    }
    tape.release(x);
    tape.giveGradient(x, dx);
  }

  private void addToHead(Tape tape, Tensor dy) {
    Backend backend = tape.backend();
    Tensor gradient = head.beginGradient(tape);
    if (rows == null) {
      backend.linearBackwardWeight(tape.scope(), x, dy, gradient, null);
    } else {
      Tensor part = tape.allocate("head rows gradient", gradient.dtype(), weight.shape().toArray());
      backend.fill(part, 0);
      backend.linearBackwardWeight(tape.scope(), x, dy, part, null);
      for (int i = 0; i < rows.size(); i++) {
        backend.add(part.slice(i, 1), gradient.slice(rows.get(i), 1));
      }
      tape.release(part);
    }
    head.endGradient(tape, gradient);
  }
}
