package io.panatron.runtime.model;

import io.panatron.kernels.AttentionLayout;
import io.panatron.kernels.DType;
import io.panatron.kernels.Tensor;
import io.panatron.runtime.autograd.AddRmsNorm;
import io.panatron.runtime.autograd.ResidualAdd;
import io.panatron.runtime.autograd.Tape;
import io.panatron.runtime.autograd.TokenLoss;
import io.panatron.runtime.nn.DropoutPlan;
import io.panatron.runtime.nn.LayerStack;
import io.panatron.runtime.nn.NormLayer;
import io.panatron.runtime.nn.OutputHead;
import io.panatron.runtime.nn.RecomputePlan;
import io.panatron.runtime.nn.ResidualStream;
import io.panatron.runtime.nn.SequenceContext;
import io.panatron.runtime.nn.TensorParallel;
import io.panatron.runtime.nn.TokenEmbedding;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The part of a {@link TransformerModel} that one pipeline stage computes: it takes token ids or
 * the hidden states of the stage before, and gives hidden states or losses.
 *
 * <p>Between stages the residual stream is one tensor [tokens, hidden]: the addition that the next
 * norm would do on its way is done before it leaves, with the same bits.
 */
public final class ModelStage {
  private final @Nullable TokenEmbedding input;
  private final LayerStack layers;
  private final @Nullable Output output;
  private final RotaryTables rotary;
  private final DType dtype;
  private final int hidden;
  private final TensorParallel parallel;

  /** What the last stage has besides layers. */
  record Output(NormLayer finalNorm, OutputHead head) {}

  /** What a stage must know of a micro-batch: places and borders of its tokens, and its dropout. */
  public record Tokens(Tensor positions, AttentionLayout layout, DropoutPlan dropout) {}

  ModelStage(
      @Nullable TokenEmbedding input,
      LayerStack layers,
      @Nullable Output output,
      RotaryTables rotary,
      DType dtype,
      int hidden,
      TensorParallel parallel) {
    this.input = input;
    this.layers = layers;
    this.output = output;
    this.rotary = rotary;
    this.dtype = dtype;
    this.hidden = hidden;
    this.parallel = parallel;
  }

  /** The same stage over the same parameters, whose training passes keep what a plan says. */
  public ModelStage recomputing(RecomputePlan plan) {
    return new ModelStage(
        input, new LayerStack(layers.layers(), plan), output, rotary, dtype, hidden, parallel);
  }

  /** Whether it starts from token ids. */
  public boolean isFirst() {
    return input != null;
  }

  /** Whether it ends with losses. */
  public boolean isLast() {
    return output != null;
  }

  /** The dtype of parameters and activations, also of those between stages. */
  public DType dtype() {
    return dtype;
  }

  /** The width of the activations between stages. */
  public int hidden() {
    return hidden;
  }

  /** The tokens of a micro-batch must be a multiple of this. */
  public int tokenMultiple() {
    return parallel.tokenMultiple();
  }

  /**
   * The hidden states for the next stage: [tokens, hidden], or under sequence parallelism {@code
   * tokens / tokenMultiple} of them.
   *
   * @param x token ids [tokens] I32, borrowed, in the first stage; else the hidden states of the
   *     stage before, taken over
   */
  public Tensor forward(Tape tape, Tensor x, Tokens tokens) {
    ResidualStream stream = stream(tape, x, tokens);
    return stream.delta() == null
        ? stream.sum()
        : ResidualAdd.forward(tape, stream.sum(), stream.delta());
  }

  /**
   * The cross-entropy of each token, differentiated with {@code dLosses} as {@link
   * TransformerModel#weightedLosses} does; the last stage alone can.
   *
   * @param x as for {@link #forward}
   */
  public Tensor weightedLosses(
      Tape tape, Tensor x, Tensor labels, Tensor dLosses, TokenLoss kind, Tokens tokens) {
    Tensor last = lastHidden(tape, x, tokens);
    return end().head().weightedLosses(tape, last, labels, dLosses, kind);
  }

  /** The loss of each token, without gradients; the last stage alone can. */
  public Tensor losses(Tape tape, Tensor x, Tensor labels, Tokens tokens) {
    return end().head().losses(tape, lastHidden(tape, x, tokens), labels);
  }

  private Tensor lastHidden(Tape tape, Tensor x, Tokens tokens) {
    ResidualStream stream = stream(tape, x, tokens);
    AddRmsNorm.Result result = end().finalNorm().forward(tape, stream.sum(), stream.delta());
    tape.release(result.sum());
    return result.y();
  }

  private Output end() {
    return Objects.requireNonNull(output, "only the last stage knows losses");
  }

  private ResidualStream stream(Tape tape, Tensor x, Tokens tokens) {
    SequenceContext context =
        new SequenceContext(
            tokens.positions(),
            tokens.layout(),
            rotary.of(tape, tokens.layout()),
            null,
            parallel.ofOwnTokens(tokens.dropout(), tokens.positions().elements()));
    Tensor start = input == null ? x : input.forward(tape, x, context);
    return layers.forward(tape, new ResidualStream(start, null), context);
  }
}
