package io.panatron.runtime.autograd;

import io.panatron.kernels.Tensor;
import io.panatron.kernels.VocabularyPart;
import org.jspecify.annotations.Nullable;

/**
 * {@code y[t] = table[ids[t]]}, or of a table that ranks share what this rank's rows contribute.
 *
 * <p><b>Shapes</b>: ids: [tokens] I32; table: [vocab, hidden], or [rows here, hidden]; y: [tokens,
 * hidden].
 *
 * @param ids borrowed; must stay valid until backward
 * @param part null where the table is whole
 */
public record Embedding(Tensor ids, Parameter table, @Nullable VocabularyPart part, Tensor y)
    implements Op {

  public static Tensor forward(Tape tape, Tensor ids, Parameter table) {
    return forward(tape, ids, table, null);
  }

  /** As above; the sum over the ranks that share the table is the embedding. */
  public static Tensor forward(
      Tape tape, Tensor ids, Parameter table, @Nullable VocabularyPart part) {
    Tensor y =
        tape.allocate("embedding", table.value().dtype(), ids.elements(), table.shape().columns());
    if (part == null) {
      tape.backend().embeddingForward(ids, table.value(), y);
    } else {
      tape.backend().partialEmbeddingForward(ids, table.value(), part, y);
    }
    if (tape.records(table.isTrained(), y)) {
      tape.record(new Embedding(ids, table, part, y));
    }
    return y;
  }

  @Override
  public void backward(Tape tape) {
    Tensor dy = tape.takeGradient(y);
    Tensor dTable = table.beginGradient(tape);
    if (part == null) {
      tape.backend().embeddingBackward(tape.scope(), ids, dy, dTable);
    } else {
      tape.backend().partialEmbeddingBackward(tape.scope(), ids, dy, part, dTable);
    }
    table.endGradient(tape, dTable);
    tape.release(dy);
  }
}
