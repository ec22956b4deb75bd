package io.panatron.runtime.model;

import io.panatron.kernels.AttentionLayout;
import io.panatron.kernels.DType;
import io.panatron.kernels.Tensor;
import io.panatron.runtime.autograd.AddRmsNorm;
import io.panatron.runtime.autograd.SequenceRows;
import io.panatron.runtime.autograd.SequenceScores;
import io.panatron.runtime.autograd.Tape;
import io.panatron.runtime.autograd.TokenLoss;
import io.panatron.runtime.nn.DropoutPlan;
import io.panatron.runtime.nn.KeyValueCache;
import io.panatron.runtime.nn.LayerStack;
import io.panatron.runtime.nn.NormLayer;
import io.panatron.runtime.nn.OutputHead;
import io.panatron.runtime.nn.RecomputePlan;
import io.panatron.runtime.nn.ResidualStream;
import io.panatron.runtime.nn.SequenceContext;
import io.panatron.runtime.nn.TensorParallel;
import io.panatron.runtime.nn.TokenEmbedding;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A decoder-only language model: token embedding (with learned positions, where a model has them),
 * decoder layers, final norm, output head. The head may be one that scores sequences, or absent.
 *
 * <p>It knows no device, and its layers know which part of the matrices is theirs; {@link
 * ModelBuilder} makes one from a configuration and named parameters.
 */
public final class TransformerModel {
  private final TokenEmbedding embedding;
  private final LayerStack layers;
  private final NormLayer finalNorm;
  private final @Nullable OutputHead head;
  private final RotaryTables rotary;
  private final TensorParallel parallel;

  TransformerModel(
      TokenEmbedding embedding,
      LayerStack layers,
      NormLayer finalNorm,
      @Nullable OutputHead head,
      RotaryTables rotary,
      TensorParallel parallel) {
    this.embedding = embedding;
    this.layers = layers;
    this.finalNorm = finalNorm;
    this.head = head;
    this.rotary = rotary;
    this.parallel = parallel;
  }

  /** The same network over the same parameters, whose training passes keep what a plan says. */
  public TransformerModel recomputing(RecomputePlan plan) {
    return new TransformerModel(
        embedding, new LayerStack(layers.layers(), plan), finalNorm, head, rotary, parallel);
  }

  /** The tokens of a micro-batch must be a multiple of this. */
  public int tokenMultiple() {
    return parallel.tokenMultiple();
  }

  /** The dtype of parameters and activations. */
  public DType dtype() {
    return embedding.table().value().dtype();
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
            new SequenceContext(
                positions,
                layout,
                rotary.of(tape, layout),
                null,
                parallel.ofOwnTokens(dropout, ids.elements())));
    return head().weightedLosses(tape, hidden, labels, dLosses, kind);
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
    return head().losses(tape, hidden, labels);
  }

  /** All logits, for tests and precision checks: [tokens, vocab] in the accumulator dtype. */
  public Tensor logits(Tape tape, Tensor ids, Tensor positions, AttentionLayout layout) {
    Tensor hidden =
        hiddenStates(
            tape,
            ids,
            new SequenceContext(
                positions, layout, rotary.of(tape, layout), null, DropoutPlan.NONE));
    return head().logits(tape, head().ofAllTokens(tape, hidden));
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
    Tensor own =
        hiddenStates(
            tape,
            ids,
            new SequenceContext(
                positions, layout, rotary.of(tape, layout), cache, DropoutPlan.NONE));
    cache.commit();
    Tensor hidden = head().ofAllTokens(tape, own);
    Tensor last =
        tape.allocate("last hidden", hidden.dtype(), layout.sequences(), hidden.shape().columns());
    for (int s = 0; s < layout.sequences(); s++) {
      long row = layout.queryStart(s) + layout.queryLength(s) - 1L;
      tape.backend().copy(hidden.slice(row, 1), last.slice(s, 1));
    }
    tape.release(hidden);
    return head().logits(tape, last);
  }

  /**
   * What the model says of each sequence at one of its tokens, the last: differentiable. For one
   * rank that has the whole model.
   *
   * <p><b>Shapes</b>: ids, positions: [tokens] I32, packed as {@code layout} says; result:
   * [sequences, width] in the accumulator dtype, where the width is the hidden size, the rows of
   * the output head, or the tokens named.
   *
   * @param lastTokens where that token of each sequence stands
   * @param dropout what is dropped on the way
   */
  public Tensor sequenceOutputs(
      Tape tape,
      Tensor ids,
      Tensor positions,
      AttentionLayout layout,
      DropoutPlan dropout,
      int[] lastTokens,
      SequenceReadout readout) {
    Tensor hidden =
        hiddenStates(
            tape,
            ids,
            new SequenceContext(positions, layout, rotary.of(tape, layout), null, dropout));
    return switch (readout) {
      case SequenceReadout.HiddenState state ->
          SequenceRows.forward(tape, hidden, lastTokens, hidden.dtype().accumulator());
      case SequenceReadout.AllScores scores -> scores(tape, hidden, lastTokens, null);
      case SequenceReadout.TokenScores(List<Integer> tokens) ->
          scores(tape, hidden, lastTokens, tokens);
    };
  }

  private Tensor scores(Tape tape, Tensor hidden, int[] lastTokens, @Nullable List<Integer> rows) {
    Tensor last = SequenceRows.forward(tape, hidden, lastTokens, hidden.dtype());
    return SequenceScores.forward(tape, last, head().weight(), rows);
  }

  private OutputHead head() {
    if (head == null) {
      throw new IllegalStateException("a base model has no output head");
    }
    return head;
  }

  private Tensor hiddenStates(Tape tape, Tensor ids, SequenceContext context) {
    Tensor embedded = embedding.forward(tape, ids, context);
    ResidualStream stream = layers.forward(tape, new ResidualStream(embedded, null), context);
    return normalise(tape, stream.sum(), stream.delta());
  }

  private Tensor normalise(Tape tape, Tensor sum, @Nullable Tensor delta) {
    AddRmsNorm.Result result = finalNorm.forward(tape, sum, delta);
    tape.release(result.sum());
    return result.y();
  }
}
