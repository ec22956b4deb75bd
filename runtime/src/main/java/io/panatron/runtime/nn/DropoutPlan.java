package io.panatron.runtime.nn;

import io.panatron.kernels.DropoutMask;
import org.jspecify.annotations.Nullable;

/**
 * The dropout of one forward and backward pass: the masks of all its places, each null where its
 * rate is 0.
 *
 * <p>A mask depends on the values here and on the place in the model, and on nothing that came
 * before. Ranks of one tensor-parallel group drop the same hidden states where they hold them in
 * common, each its own tokens' part of one mask where they share them, and each its own heads' part
 * of one mask of attention probabilities: so the group drops what one rank would.
 *
 * @param rates how much is dropped
 * @param seed of the run
 * @param step of the optimizer
 * @param microBatch which of the step's micro-batches, those of other ranks included
 * @param tensorRank index of the rank among those that share each layer's heads
 * @param firstToken number of the first token whose hidden states this rank holds, where ranks
 *     share them
 */
public record DropoutPlan(
    DropoutRates rates, long seed, int step, int microBatch, int tensorRank, int firstToken) {
  /** No dropout: evaluation and generation, and training unless it is asked for. */
  public static final DropoutPlan NONE = new DropoutPlan(DropoutRates.NONE, 0, 0, 0, 0);

  // Numbers of the places of a layer; they decide which elements are dropped, so they stay.
  private static final int EMBEDDING = 0;
  private static final int ATTENTION = 1;
  private static final int ATTENTION_OUTPUT = 2;
  private static final int MLP_OUTPUT = 3;

  /** The first of the places of adapters, which are numbered by {@link LoraPlace}. */
  private static final int ADAPTER = 4;

  /** Room for more places, so that a new one leaves the masks of the others as they are. */
  private static final int PLACES = 16;

  /** The dropout of a rank that holds the hidden states of all tokens. */
  public DropoutPlan(DropoutRates rates, long seed, int step, int microBatch, int tensorRank) {
    this(rates, seed, step, microBatch, tensorRank, 0);
  }

  /** The same, where the hidden states of this rank begin with this token. */
  DropoutPlan from(int token) {
    return rates.areZero()
        ? this
        : new DropoutPlan(rates, seed, step, microBatch, tensorRank, token);
  }

  /** For the token embeddings: [tokens, hidden]. */
  public @Nullable DropoutMask embedding() {
    return mask(rates.hidden(), EMBEDDING, 0, firstToken);
  }

  /**
   * For the probabilities of a layer's attention.
   *
   * @param layer the layer's number in the whole model
   * @param heads query heads that this rank holds
   */
  public @Nullable DropoutMask attention(int layer, int heads) {
    return mask(rates.attention(), layer * PLACES + ATTENTION, tensorRank * heads, 0);
  }

  /** For what a layer's attention adds to the residual stream: [tokens, hidden]. */
  public @Nullable DropoutMask attentionOutput(int layer) {
    return mask(rates.hidden(), layer * PLACES + ATTENTION_OUTPUT, 0, firstToken);
  }

  /** For what a layer's MLP adds to the residual stream: [tokens, hidden]. */
  public @Nullable DropoutMask mlpOutput(int layer) {
    return mask(rates.hidden(), layer * PLACES + MLP_OUTPUT, 0, firstToken);
  }

  /** For what the adapter of a linear layer reads: [tokens, in]. */
  public @Nullable DropoutMask adapter(LoraPlace place) {
    int site = place.layer() * PLACES + ADAPTER + place.linear().ordinal();
    return mask(rates.adapter(), site, 0, 0);
  }

  private @Nullable DropoutMask mask(double probability, int site, int firstHead, int firstRow) {
    return probability == 0
        ? null
        : new DropoutMask(probability, seed, step, microBatch, site, firstHead, firstRow);
  }
}
