package io.panatron.runtime.model;

import io.panatron.kernels.AttentionLayout;
import io.panatron.kernels.DType;
import io.panatron.kernels.Tensor;
import io.panatron.runtime.autograd.AddRmsNorm;
import io.panatron.runtime.autograd.Dropout;
import io.panatron.runtime.autograd.Embedding;
import io.panatron.runtime.autograd.Linear;
import io.panatron.runtime.autograd.LinearCrossEntropy;
import io.panatron.runtime.autograd.Parameter;
import io.panatron.runtime.autograd.Tape;
import io.panatron.runtime.nn.DecoderLayer;
import io.panatron.runtime.nn.DropoutPlan;
import io.panatron.runtime.nn.KeyValueCache;
import io.panatron.runtime.nn.ResidualStream;
import io.panatron.runtime.nn.SequenceContext;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A decoder-only language model: token embedding, decoder layers, final norm, output head.
 *
 * <p>It knows neither a device nor its place among other ranks; {@link ModelBuilder} makes one from
 * a configuration and named parameters.
 */
public final class TransformerModel {
  private final Parameter embedding;
  private final List<DecoderLayer> layers;
  private final Parameter finalNorm;
  private final double epsilon;
  private final Parameter head;
  private final RotaryTables rotary;

  TransformerModel(
      Parameter embedding,
      List<DecoderLayer> layers,
      Parameter finalNorm,
      double epsilon,
      Parameter head,
      RotaryTables rotary) {
    this.embedding = embedding;
    this.layers = List.copyOf(layers);
    this.finalNorm = finalNorm;
    this.epsilon = epsilon;
    this.head = head;
    this.rotary = rotary;
  }

  /** The dtype of parameters and activations. */
  public DType dtype() {
    return embedding.value().dtype();
  }

  /** The most positions a sequence may have. */
  public int positions() {
    return rotary.positions();
  }

  /**
   * The loss of each token, differentiated with {@code dLosses} as its gradient.
   *
   * <p><b>Shapes</b>: ids, labels, positions: [tokens] I32; dLosses and the result: [tokens].
   *
   * @param dropout what is dropped on the way
   */
  public Tensor weightedLosses(
      Tape tape,
      Tensor ids,
      Tensor labels,
      Tensor dLosses,
      Tensor positions,
      AttentionLayout layout,
      DropoutPlan dropout) {
    Tensor hidden =
        hiddenStates(
            tape,
            ids,
            new SequenceContext(positions, layout, rotary.of(tape, layout), null, dropout));
    return LinearCrossEntropy.forwardWeighted(tape, hidden, head, labels, dLosses);
  }

  /** The loss of each token. Shapes as {@link #weightedLosses}. */
  public Tensor losses(
      Tape tape, Tensor ids, Tensor labels, Tensor positions, AttentionLayout layout) {
    Tensor hidden =
        hiddenStates(
            tape,
            ids,
            new SequenceContext(
                positions, layout, rotary.of(tape, layout), null, DropoutPlan.NONE));
    return LinearCrossEntropy.forward(tape, hidden, head, labels);
  }

  /** All logits, for tests and precision checks: [tokens, vocab] in the accumulator dtype. */
  public Tensor logits(Tape tape, Tensor ids, Tensor positions, AttentionLayout layout) {
    Tensor hidden =
        hiddenStates(
            tape,
            ids,
            new SequenceContext(
                positions, layout, rotary.of(tape, layout), null, DropoutPlan.NONE));
    return Linear.logits(tape, hidden, head);
  }

  /**
   * The logits after the last new token of each sequence, with keys and values kept in {@code
   * cache}.
   *
   * <p><b>Shapes</b>: ids, positions: [new tokens] I32, packed as {@code layout} says; result:
   * [sequences, vocab] in the accumulator dtype. Every sequence must have a new token.
   */
  public Tensor nextTokenLogits(
      Tape tape, Tensor ids, Tensor positions, AttentionLayout layout, KeyValueCache cache) {
    Tensor hidden =
        hiddenStates(
            tape,
            ids,
            new SequenceContext(
                positions, layout, rotary.of(tape, layout), cache, DropoutPlan.NONE));
    cache.commit();
    Tensor last =
        tape.allocate("last hidden", hidden.dtype(), layout.sequences(), hidden.shape().columns());
    for (int s = 0; s < layout.sequences(); s++) {
      long row = layout.queryStart(s) + layout.queryLength(s) - 1L;
      tape.backend().copy(hidden.slice(row, 1), last.slice(s, 1));
    }
    tape.release(hidden);
    return Linear.logits(tape, last, head);
  }

  private Tensor hiddenStates(Tape tape, Tensor ids, SequenceContext context) {
    Tensor embedded =
        Dropout.forward(
            tape, Embedding.forward(tape, ids, embedding), context.dropout().embedding());
    ResidualStream stream = new ResidualStream(embedded, null);
    for (DecoderLayer layer : layers) {
      stream = layer.forward(tape, stream, context);
    }
    return normalise(tape, stream.sum(), stream.delta());
  }

  private Tensor normalise(Tape tape, Tensor sum, @Nullable Tensor delta) {
    AddRmsNorm.Result result = AddRmsNorm.forward(tape, sum, delta, finalNorm, epsilon);
    tape.release(result.sum());
    return result.y();
  }
}
