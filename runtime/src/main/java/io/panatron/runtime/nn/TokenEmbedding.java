package io.panatron.runtime.nn;

import io.panatron.kernels.Tensor;
import io.panatron.runtime.autograd.Adapter;
import io.panatron.runtime.autograd.AddPositions;
import io.panatron.runtime.autograd.Dropout;
import io.panatron.runtime.autograd.Embedding;
import io.panatron.runtime.autograd.LoraEmbedding;
import io.panatron.runtime.autograd.Parameter;
import io.panatron.runtime.autograd.Tape;
import org.jspecify.annotations.Nullable;

/**
 * The start of the residual stream: a row for each token, what an adapter adds to it, learned
 * positions, where a model has them, and dropout.
 *
 * @param table [vocabulary, hidden], or the rows that this rank has
 * @param adapter its A as [vocabulary, rank]; null for none, and where ranks share the table
 * @param positions [positions, hidden], or null
 * @param vocabulary rows of the whole table
 * @param parallel how ranks share the table
 */
public record TokenEmbedding(
    Parameter table,
    @Nullable Adapter adapter,
    @Nullable Parameter positions,
    int vocabulary,
    TensorParallel parallel) {

  /** ids: [tokens] I32, borrowed; returns [tokens here, hidden]. */
  public Tensor forward(Tape tape, Tensor ids, SequenceContext context) {
    Tensor embedded =
        adapter == null
            ? Embedding.forward(tape, ids, table, parallel.vocabulary(vocabulary))
            : LoraEmbedding.forward(
                tape, ids, table, adapter.down(), adapter.up(), adapter.scale());
    embedded = parallel.leave(tape, embedded);
    if (positions != null) {
      Tensor places = parallel.ownTokens(context.positions());
      embedded = AddPositions.forward(tape, embedded, places, positions);
    }
    return Dropout.forward(tape, embedded, context.dropout().embedding());
  }
}
