package io.panatron.runtime.autograd;

import io.panatron.kernels.Tensor;

/**
 * Adds learned positions to token embeddings: {@code y[t] = x[t] + table[positions[t]]}.
 *
 * <p><b>Shapes</b>: x, y: [tokens, hidden]; positions: [tokens] I32, below the rows of the table;
 * table: [positions, hidden].
 *
 * @param positions borrowed; must stay valid until backward
 */
public record AddPositions(Tensor x, Tensor positions, Parameter table, Tensor y) implements Op {

  public static Tensor forward(Tape tape, Tensor x, Tensor positions, Parameter table) {
    // An embedding saves no output: its memory becomes the sum's.
    Tensor y = new Tensor(x.buffer(), x.offset(), x.shape(), x.dtype());
    Tensor rows = tape.scope().allocate("position embedding", x.dtype(), x.shape());
    tape.backend().embeddingForward(positions, table.value(), rows);
    tape.backend().add(rows, y);
    tape.release(rows);
    if (tape.records(table.isTrained() || !tape.isConstant(x), y)) {
      tape.record(new AddPositions(x, positions, table, y));
    }
    return y;
  }

  @Override
  public void backward(Tape tape) {
    Tensor dy = tape.takeGradient(y);
    if (table.isTrained()) {
      Tensor dTable = table.beginGradient(tape);
      tape.backend().embeddingBackward(tape.scope(), positions, dy, dTable);
      table.endGradient(tape, dTable);
    }
    tape.giveGradient(x, dy);
  }
}
