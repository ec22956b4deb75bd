package io.panatron.runtime.model;

import io.panatron.kernels.AttentionLayout;
import io.panatron.kernels.DType;
import io.panatron.kernels.Tensor;
import io.panatron.runtime.autograd.AddPositions;
import io.panatron.runtime.autograd.AddRmsNorm;
import io.panatron.runtime.autograd.Dropout;
import io.panatron.runtime.autograd.Linear;
import io.panatron.runtime.autograd.LinearCrossEntropy;
import io.panatron.runtime.autograd.Parameter;
import io.panatron.runtime.autograd.Tape;
import io.panatron.runtime.autograd.TokenLoss;
import io.panatron.runtime.nn.DecoderLayer;
import io.panatron.runtime.nn.DropoutPlan;
import io.panatron.runtime.nn.KeyValueCache;
import io.panatron.runtime.nn.LayerStack;
import io.panatron.runtime.nn.NormLayer;
import io.panatron.runtime.nn.RecomputePlan;
import io.panatron.runtime.nn.ResidualStream;
import io.panatron.runtime.nn.SequenceContext;
import io.panatron.runtime.nn.TokenEmbedding;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A decoder-only language model: token embedding (with learned positions, where a model has them),
 * decoder layers, final norm, output head.
 *
 * <p>It knows neither a device nor its place among other ranks; {@link ModelBuilder} makes one from
 * a configuration and named parameters.
 */
public final class TransformerModel {
  private final TokenEmbedding embedding;
  private final @Nullable Parameter positionEmbedding;
  private final LayerStack layers;
  private final NormLayer finalNorm;
  private final Parameter head;
  private final RotaryTables rotary;

  TransformerModel(
      TokenEmbedding embedding,
      @Nullable Parameter positionEmbedding,
      List<DecoderLayer> layers,
      NormLayer finalNorm,
      Parameter head,
      RotaryTables rotary) {
    this(
        embedding,
        positionEmbedding,
        new LayerStack(List.copyOf(layers), RecomputePlan.NONE),
        finalNorm,
        head,
        rotary);
  }

  private TransformerModel(
      TokenEmbedding embedding,
      @Nullable Parameter positionEmbedding,
      LayerStack layers,
      NormLayer finalNorm,
      Parameter head,
      RotaryTables rotary) {
    this.embedding = embedding;
    this.positionEmbedding = positionEmbedding;
    this.layers = layers;
    this.finalNorm = finalNorm;
    this.head = head;
    this.rotary = rotary;
  }

  /** The same network over the same parameters, whose training passes keep what a plan says. */
  public TransformerModel recomputing(RecomputePlan plan) {
    return new TransformerModel(
        embedding,
        positionEmbedding,
        new LayerStack(layers.layers(), plan),
        finalNorm,
        head,
        rotary);
  }

  /** The dtype of parameters and activations. */
  public DType dtype() {
    return embedding.dtype();
  }

  /** The most positions a sequence may have. */
  public int positions() {
    return rotary.positions();
  }

  /**
   * The loss of each token, differentiated with {@code dLosses} as its gradient.
   *
   * <p><b>Shapes</b>: ids, labels, positions: [tokens] I32; dLosses and the result: [tokens].
   */
  public Tensor weightedLosses(
      Tape tape,
      Tensor ids,
      Tensor labels,
      Tensor dLosses,
      Tensor positions,
      AttentionLayout layout) {
    return weightedLosses(
        tape, ids, labels, dLosses, TokenLoss.CROSS_ENTROPY, positions, layout, DropoutPlan.NONE);
  }

  /**
   * The cross-entropy of each token; the gradient of the loss that {@code kind} makes of it is
   * {@code dLosses}. Shapes as above.
   *
   * @param dropout what is dropped on the way
   */
  public Tensor weightedLosses(
      Tape tape,
      Tensor ids,
      Tensor labels,
      Tensor dLosses,
      TokenLoss kind,
      Tensor positions,
      AttentionLayout layout,
      DropoutPlan dropout) {
    Tensor hidden =
        hiddenStates(
            tape,
            ids,
            new SequenceContext(positions, layout, rotary.of(tape, layout), null, dropout));
    return LinearCrossEntropy.forwardWeighted(tape, hidden, head, labels, dLosses, kind);
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
    Tensor embedded = embedding.forward(tape, ids);
    if (positionEmbedding != null) {
      embedded = AddPositions.forward(tape, embedded, context.positions(), positionEmbedding);
    }
    embedded = Dropout.forward(tape, embedded, context.dropout().embedding());
    ResidualStream stream = layers.forward(tape, new ResidualStream(embedded, null), context);
    return normalise(tape, stream.sum(), stream.delta());
  }

  private Tensor normalise(Tape tape, Tensor sum, @Nullable Tensor delta) {
    AddRmsNorm.Result result = finalNorm.forward(tape, sum, delta);
    tape.release(result.sum());
    return result.y();
  }
}
