package io.panatron.runtime.nn;

import io.panatron.kernels.DType;
import io.panatron.kernels.Tensor;
import io.panatron.runtime.autograd.Adapter;
import io.panatron.runtime.autograd.Embedding;
import io.panatron.runtime.autograd.LoraEmbedding;
import io.panatron.runtime.autograd.Parameter;
import io.panatron.runtime.autograd.Tape;
import org.jspecify.annotations.Nullable;

/**
 * The embedding of tokens, and what an adapter adds to it; table: [vocab, hidden].
 *
 * @param adapter its A as [vocab, rank]
 */
public record TokenEmbedding(Parameter table, @Nullable Adapter adapter) {

  /** ids: [tokens] I32, borrowed until backward; returns [tokens, hidden]. */
  public Tensor forward(Tape tape, Tensor ids) {
    return adapter == null
        ? Embedding.forward(tape, ids, table)
        : LoraEmbedding.forward(tape, ids, table, adapter.down(), adapter.up(), adapter.scale());
  }

  /** The dtype of the embedded tokens. */
  public DType dtype() {
    return table.value().dtype();
  }
}
