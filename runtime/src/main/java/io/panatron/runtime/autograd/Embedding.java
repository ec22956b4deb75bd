package io.panatron.runtime.autograd;

import io.panatron.kernels.Tensor;

/**
 * {@code y[t] = table[ids[t]]}.
 *
 * <p><b>Shapes</b>: ids: [tokens] I32; table: [vocab, hidden]; y: [tokens, hidden].
 *
 * @param ids borrowed; must stay valid until backward
 */
public record Embedding(Tensor ids, Parameter table, Tensor y) implements Op {

  public static Tensor forward(Tape tape, Tensor ids, Parameter table) {
    Tensor y =
        tape.allocate("embedding", table.value().dtype(), ids.elements(), table.shape().columns());
    tape.backend().embeddingForward(ids, table.value(), y);
    if (tape.records(table.isTrained(), y)) {
      tape.record(new Embedding(ids, table, y));
    }
    return y;
  }

  @Override
  public void backward(Tape tape) {
    Tensor dy = tape.takeGradient(y);
    Tensor dTable = table.beginGradient(tape);
    tape.backend().embeddingBackward(tape.scope(), ids, dy, dTable);
    table.endGradient(tape, dTable);
    tape.release(dy);
  }
}
