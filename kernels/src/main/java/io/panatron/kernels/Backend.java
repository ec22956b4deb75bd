package io.panatron.kernels;

import org.jspecify.annotations.Nullable;

/**
 * The coarse operations a device performs, each forward with its backward beside it.
 *
 * <p><b>Dtypes</b>: activations and parameters share one compute dtype {@code C}; {@code A} is its
 * {@link DType#accumulator()}: row statistics, losses, and all parameter gradients are {@code A}.
 * The reference backend takes F64, F32, BF16 and F16; the cpu backend takes the last three.
 *
 * <p><b>Writes</b>: outputs and activation gradients are overwritten, parameter gradients ({@code
 * d...Weight}, {@code dBias}, {@code dTable}) are accumulated into. Outputs may not alias inputs
 * unless the operation says so. Uninitialised outputs are fine.
 *
 * <p><b>Order</b>: calls take effect in the order in which one thread makes them; a backend serves
 * one thread. {@code scratch} lends temporaries for the duration of the call.
 *
 * <p><b>Determinism</b>: the same inputs give the same bits, whatever the number of threads does in
 * time. <b>Errors</b>: wrong shapes or dtypes throw {@link IllegalArgumentException} naming them.
 */
public interface Backend extends LowRankOperations, AutoCloseable {

  Device device();

  /** Whether activations and parameters may have this dtype. */
  boolean computesIn(DType dtype);

  // ---- element-wise ---------------------------------------------------------------------------

  /** Sets every element of a floating tensor. */
  void fill(Tensor x, double value);

  /**
   * {@code to = from}, converting between floating dtypes, rounding to nearest even; what is too
   * large becomes infinite, or 448 in F8_E4M3.
   */
  void copy(Tensor from, Tensor to);

  /**
   * {@code into += x}; same element count; {@code into} has the dtype of {@code x} or its
   * accumulator, or is BF16 where {@code x} is F32.
   */
  void add(Tensor x, Tensor into);

  /** {@code x *= factor}. */
  void scale(Tensor x, double factor);

  /**
   * The sum of squares, accumulated in double in an order that does not depend on threads; NaN or
   * infinite if and only if an element is not finite.
   */
  double sumOfSquares(Tensor x);

  // ---- dropout --------------------------------------------------------------------------------

  /**
   * {@code y = x factor} for the elements that the mask keeps, else {@code y = 0 x}; its own
   * gradient. Shapes: x, y: [tokens, hidden] C, a row of the mask for a token. {@code y} may alias
   * {@code x}. Source: Srivastava et al., "Dropout", section 10 (inverted).
   */
  void dropout(Tensor x, DropoutMask mask, Tensor y);

  // ---- linear ---------------------------------------------------------------------------------

  /**
   * {@code y = x weight^T + bias}.
   *
   * <p><b>Shapes</b>: x: [tokens, in] C; weight: [out, in] C; bias: [out] C; y: [tokens, out] C, or
   * A.
   */
  void linearForward(MemoryScope scratch, Tensor x, Tensor weight, @Nullable Tensor bias, Tensor y);

  /**
   * {@code dx = dy weight}. Shapes: dy: [tokens, out] C; weight: [out, in] C; dx: [tokens, in] C.
   */
  void linearBackwardInput(MemoryScope scratch, Tensor dy, Tensor weight, Tensor dx);

  /**
   * {@code dWeight += dy^T x}; {@code dBias += column sums of dy}.
   *
   * <p><b>Shapes</b>: x: [tokens, in] C; dy: [tokens, out] C; dWeight: [out, in] A, or null where
   * the weight is not trained, and x is then not read; dBias: [out] A.
   */
  void linearBackwardWeight(
      MemoryScope scratch, Tensor x, Tensor dy, @Nullable Tensor dWeight, @Nullable Tensor dBias);

  // ---- embedding ------------------------------------------------------------------------------

  /**
   * {@code y[t] = table[ids[t]]}. Shapes: ids: [tokens] I32; table: [vocab, hidden] C; y: [tokens,
   * hidden] C.
   */
  void embeddingForward(Tensor ids, Tensor table, Tensor y);

  /**
   * {@code dTable[ids[t]] += dy[t]} in token order. Shapes: dy: [tokens, hidden] C; dTable: [vocab,
   * hidden] A.
   */
  void embeddingBackward(MemoryScope scratch, Tensor ids, Tensor dy, Tensor dTable);

  /**
   * {@link #embeddingForward} of the rows that one rank holds: what the other ranks hold is 0 here,
   * so that the sum over the ranks is the embedding.
   *
   * <p><b>Shapes</b>: ids: [tokens] I32, below {@code part.size()}; table: [part.rows(), hidden] C;
   * y: [tokens, hidden] C.
   */
  void partialEmbeddingForward(Tensor ids, Tensor table, VocabularyPart part, Tensor y);

  /**
   * {@link #embeddingBackward} of the rows that one rank holds: {@code dTable[ids[t] -
   * part.firstRow()] += dy[t]} for those. dTable: [part.rows(), hidden] A.
   */
  void partialEmbeddingBackward(
      MemoryScope scratch, Tensor ids, Tensor dy, VocabularyPart part, Tensor dTable);

  // ---- residual addition and RMS norm ---------------------------------------------------------

  /**
   * {@code sum = x + delta}; {@code rstd = 1 / sqrt(mean(sum^2) + epsilon)}; {@code y = sum rstd
   * weight}.
   *
   * <p>Without {@code delta}, {@code sum} is null too and stands for {@code x}. {@code sum} may
   * alias {@code x} or {@code delta}. The norm is taken of the sum as rounded to C.
   *
   * <p><b>Shapes</b>: x, delta, sum, y: [tokens, hidden] C; weight: [hidden] C; rstd: [tokens] A.
   * Source: Zhang and Sennrich, "Root Mean Square Layer Normalization", equation 4.
   */
  void addRmsNormForward(
      Tensor x,
      @Nullable Tensor delta,
      Tensor weight,
      double epsilon,
      @Nullable Tensor sum,
      Tensor y,
      Tensor rstd);

  /**
   * {@code dx = dSum + d(norm)/d(sum) dy}, which is the gradient of {@code x} and of {@code delta}
   * alike; {@code dWeight += sum over tokens of dy sum rstd}. {@code dx} may alias {@code dSum} or
   * {@code dy}.
   *
   * @param sum the normalised tensor of the forward pass
   * @param dSum gradient that reaches the sum from elsewhere, or null
   * @param dWeight null where the weight is not trained
   */
  void addRmsNormBackward(
      MemoryScope scratch,
      Tensor sum,
      Tensor weight,
      Tensor rstd,
      Tensor dy,
      @Nullable Tensor dSum,
      Tensor dx,
      @Nullable Tensor dWeight);

  // ---- residual addition and layer norm -------------------------------------------------------

  /**
   * {@code sum = x + delta}; {@code c = sum - mean(sum)}; {@code rstd = 1 / sqrt(mean(c^2) +
   * epsilon)}; {@code y = c rstd weight + bias}.
   *
   * <p>{@code delta}, {@code sum} and their aliasing as in {@link #addRmsNormForward}.
   *
   * <p><b>Shapes</b>: x, delta, sum, y: [tokens, hidden] C; weight, bias: [hidden] C; rstd:
   * [tokens] A. Source: Ba, Kiros and Hinton, "Layer Normalization", equation 4.
   */
  void addLayerNormForward(
      Tensor x,
      @Nullable Tensor delta,
      Tensor weight,
      Tensor bias,
      double epsilon,
      @Nullable Tensor sum,
      Tensor y,
      Tensor rstd);

  /**
   * {@code dx = dSum + d(norm)/d(sum) dy}, the gradient of {@code x} and of {@code delta} alike;
   * {@code dWeight += sum over tokens of dy c rstd}; {@code dBias += sum over tokens of dy}. {@code
   * dx} may alias {@code dSum} or {@code dy}.
   *
   * @param sum the normalised tensor of the forward pass, whose mean is computed again
   * @param dSum gradient that reaches the sum from elsewhere, or null
   * @param dWeight null where the weight is not trained, as is {@code dBias}
   */
  void addLayerNormBackward(
      MemoryScope scratch,
      Tensor sum,
      Tensor weight,
      Tensor rstd,
      Tensor dy,
      @Nullable Tensor dSum,
      Tensor dx,
      @Nullable Tensor dWeight,
      @Nullable Tensor dBias);

  // ---- query/key/value split, head norm, rotary embedding ---------------------------------------

  /**
   * Splits a fused projection into heads, normalises each query and key head by its RMS (if weights
   * are given) and rotates it by its position.
   *
   * <p><b>Shapes</b>: qkv: [tokens, geometry.fusedColumns] C; positions: [tokens] I32, below {@code
   * rotary.positions()}; queryWeight, keyWeight: [headDim] C or both null; q: [tokens, queryHeads,
   * headDim] C; k, v: [tokens, keyValueHeads, headDim] C; rstd: [tokens, queryHeads +
   * keyValueHeads] A, null without weights.
   */
  void splitHeadsForward(
      Tensor qkv,
      HeadGeometry geometry,
      Tensor positions,
      RotaryTable rotary,
      @Nullable HeadNorm norm,
      Tensor q,
      Tensor k,
      Tensor v,
      @Nullable Tensor rstd);

  /**
   * Gradient of {@link #splitHeadsForward}: overwrites {@code dqkv}, accumulates into the weights'.
   *
   * @param qkv the input of the forward pass, or null without a norm: a rotation needs no input
   * @param dQueryWeight null without a norm, or where the weight is not trained; likewise the other
   */
  void splitHeadsBackward(
      MemoryScope scratch,
      @Nullable Tensor qkv,
      HeadGeometry geometry,
      Tensor positions,
      RotaryTable rotary,
      @Nullable HeadNorm norm,
      @Nullable Tensor rstd,
      Tensor dq,
      Tensor dk,
      Tensor dv,
      Tensor dqkv,
      @Nullable Tensor dQueryWeight,
      @Nullable Tensor dKeyWeight);

  /** Weights ([headDim] C) and epsilon of the norms on query and key heads. */
  record HeadNorm(Tensor queryWeight, Tensor keyWeight, double epsilon) {}

  // ---- attention --------------------------------------------------------------------------------

  /**
   * {@code out = dropout(softmax(scale q k^T, causal within each sequence)) v}; query head {@code
   * h} reads key head {@code h / groupSize}. The scores are never stored whole.
   *
   * <p>Dropout acts on the finished probabilities: {@code logSumExp} does not see it. The mask's
   * row is the query's row in {@code q}, its column the key's place in the sequence.
   *
   * <p><b>Shapes</b>: q, out: [queries, queryHeads, headDim] C; k, v: [keys, keyValueHeads,
   * headDim] C; logSumExp: [queries, queryHeads] A, the natural logarithm of each row's sum of
   * exponentials of the scaled scores. Source: Dao, "FlashAttention-2", algorithm 1.
   */
  void attentionForward(
      MemoryScope scratch,
      Tensor q,
      Tensor k,
      Tensor v,
      AttentionLayout layout,
      double scale,
      @Nullable DropoutMask mask,
      Tensor out,
      Tensor logSumExp);

  /** Attention without dropout. */
  default void attentionForward(
      MemoryScope scratch,
      Tensor q,
      Tensor k,
      Tensor v,
      AttentionLayout layout,
      double scale,
      Tensor out,
      Tensor logSumExp) {
    attentionForward(scratch, q, k, v, layout, scale, null, out, logSumExp);
  }

  /**
   * Gradient of {@link #attentionForward}; needs as many keys as queries, and the same mask.
   * Source: the same, algorithm 2.
   */
  void attentionBackward(
      MemoryScope scratch,
      Tensor q,
      Tensor k,
      Tensor v,
      Tensor out,
      Tensor logSumExp,
      Tensor dOut,
      AttentionLayout layout,
      double scale,
      @Nullable DropoutMask mask,
      Tensor dq,
      Tensor dk,
      Tensor dv);

  /** Gradient of attention without dropout. */
  default void attentionBackward(
      MemoryScope scratch,
      Tensor q,
      Tensor k,
      Tensor v,
      Tensor out,
      Tensor logSumExp,
      Tensor dOut,
      AttentionLayout layout,
      double scale,
      Tensor dq,
      Tensor dk,
      Tensor dv) {
    attentionBackward(scratch, q, k, v, out, logSumExp, dOut, layout, scale, null, dq, dk, dv);
  }

  // ---- SwiGLU -----------------------------------------------------------------------------------

  /**
   * {@code y = gate sigmoid(gate) up}. Shapes: gateUp: [tokens, 2 width] C, gate first; y: [tokens,
   * width] C. Source: Shazeer, "GLU Variants Improve Transformer", equation 6.
   */
  void swigluForward(Tensor gateUp, Tensor y);

  /** Gradient of {@link #swigluForward}; {@code dGateUp} may alias {@code gateUp}. */
  void swigluBackward(Tensor gateUp, Tensor dy, Tensor dGateUp);

  // ---- activation -------------------------------------------------------------------------------

  /** {@code y = f(x)} for each element. Shapes: x, y: [tokens, width] C. */
  void activationForward(Activation activation, Tensor x, Tensor y);

  /** {@code dx = dy f'(x)}; {@code dx} may alias {@code x} or {@code dy}. */
  void activationBackward(Activation activation, Tensor x, Tensor dy, Tensor dx);

  // ---- linear + cross-entropy -------------------------------------------------------------------

  /**
   * {@code losses[t] = logSumExp[t] - (x weight^T)[t, labels[t]]}, in pieces that never hold all
   * logits. A label below 0 is ignored: its loss is 0 and its logits are not computed.
   *
   * <p><b>Shapes</b>: x: [tokens, hidden] C; weight: [vocab, hidden] C; labels: [tokens] I32;
   * losses, logSumExp: [tokens] A.
   */
  void linearCrossEntropyForward(
      MemoryScope scratch, Tensor x, Tensor weight, Tensor labels, Tensor losses, Tensor logSumExp);

  /**
   * Gradient of {@link #linearCrossEntropyForward}, computing the logits again. dLosses: [tokens]
   * A. {@code dx} and {@code dWeight} are null where nobody needs them, which saves a product each.
   */
  void linearCrossEntropyBackward(
      MemoryScope scratch,
      Tensor x,
      Tensor weight,
      Tensor labels,
      Tensor logSumExp,
      Tensor dLosses,
      @Nullable Tensor dx,
      @Nullable Tensor dWeight);

  /**
   * Forward and backward at once for a {@code dLosses} known beforehand, computing the logits once:
   * three matrix products in place of four. {@code dx} and {@code dWeight} as there.
   */
  void linearCrossEntropyForwardBackward(
      MemoryScope scratch,
      Tensor x,
      Tensor weight,
      Tensor labels,
      Tensor dLosses,
      Tensor losses,
      @Nullable Tensor dx,
      @Nullable Tensor dWeight);

  /**
   * As {@link #linearCrossEntropyForwardBackward}, with each token's gradient multiplied by the
   * probability of its label: the gradient of {@code p[t] losses[t]} where {@code p[t] =
   * exp(-losses[t])} counts as a constant. {@code losses} are those of the cross-entropy. Source:
   * Dynamic Fine-Tuning, arXiv 2508.05629.
   */
  void linearDftForwardBackward(
      MemoryScope scratch,
      Tensor x,
      Tensor weight,
      Tensor labels,
      Tensor dLosses,
      Tensor losses,
      @Nullable Tensor dx,
      @Nullable Tensor dWeight);

  // ---- linear + cross-entropy over a vocabulary that ranks share
  // ----------------------------------

  /**
   * {@link #linearCrossEntropyForward} where each rank computes the logits of its own rows. The
   * ranks exchange two numbers for each token: the log-sum-exp of their logits and the logit of the
   * label, as {@code A}. Every rank of the group must call this with the same x and labels.
   *
   * <p><b>Shapes</b>: weight: [part.rows(), hidden] C; labels: [tokens] I32, below {@code
   * part.size()}; the others as there. losses and logSumExp are those of the whole vocabulary, the
   * same bits on every rank.
   */
  void partialCrossEntropyForward(
      MemoryScope scratch,
      Tensor x,
      Tensor weight,
      VocabularyPart part,
      Tensor labels,
      Tensor losses,
      Tensor logSumExp);

  /**
   * {@link #linearCrossEntropyBackward} of one rank's rows, without an exchange. {@code dx} is what
   * these rows contribute: its sum over the ranks is the gradient.
   */
  void partialCrossEntropyBackward(
      MemoryScope scratch,
      Tensor x,
      Tensor weight,
      VocabularyPart part,
      Tensor labels,
      Tensor logSumExp,
      Tensor dLosses,
      Tensor dx,
      Tensor dWeight);

  /**
   * {@link #linearCrossEntropyForwardBackward} of one rank's rows, computing their logits once; the
   * exchange of {@link #partialCrossEntropyForward}, the gradients of {@link
   * #partialCrossEntropyBackward}.
   *
   * @param dft whether the gradients are those of {@link #linearDftForwardBackward}
   */
  void partialCrossEntropyForwardBackward(
      MemoryScope scratch,
      Tensor x,
      Tensor weight,
      VocabularyPart part,
      Tensor labels,
      Tensor dLosses,
      boolean dft,
      Tensor losses,
      Tensor dx,
      Tensor dWeight);

  // ---- optimizer --------------------------------------------------------------------------------

  /**
   * One AdamW update in one pass. All A of equal element count; {@code model}, if given, receives
   * the updated parameter rounded to its dtype.
   */
  void adamW(
      AdamWStep step,
      Tensor parameter,
      Tensor gradient,
      Tensor firstMoment,
      Tensor secondMoment,
      @Nullable Tensor model);

  /**
   * {@link #adamW} on state in narrower storage: widened to F32, updated, stored again. New scales
   * follow from the updated numbers.
   *
   * <p>All of equal element count. parameter: F32, F16 or I16; moments: F32, BF16, F16 or F8_E4M3;
   * gradient: F32 or BF16; {@code model} receives the updated parameter rounded to its dtype, and
   * is read where the parameter is I16. Source: Transformer Engine, {@code fused_adam.py}.
   */
  void adamWStored(
      AdamWStep step,
      StoredTensor parameter,
      Tensor gradient,
      StoredTensor firstMoment,
      StoredTensor secondMoment,
      @Nullable Tensor model);

  /** One SGD update in one pass; arguments as {@link #adamW}. */
  void sgd(
      SgdStep step, Tensor parameter, Tensor gradient, Tensor momentum, @Nullable Tensor model);

  @Override
  void close();
}
