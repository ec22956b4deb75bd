package io.panatron.runtime.autograd;

/**
 * One recorded operation: what its forward pass saved, and how gradients flow back through it.
 *
 * <p>Each operation has a static {@code forward} that <b>takes over</b> the caller's reference to
 * its activation inputs: it keeps the reference while backward needs the values, or releases it. A
 * caller who needs an input afterwards retains it first ({@link Tape#retain}). Weights, ids and
 * positions are borrowed. Outputs belong to the caller.
 */
public sealed interface Op
    permits Activate,
        AddLayerNorm,
        AddPositions,
        AddRmsNorm,
        Attention,
        CopyToGroup,
        DiscardOutputs,
        Dropout,
        Embedding,
        GatherTokens,
        Linear,
        LinearCrossEntropy,
        Recompute,
        ReduceFromGroup,
        ResidualAdd,
        ScatterTokens,
        SequenceRows,
        SequenceScores,
        SplitHeads,
        Swiglu {
  /**
   * Takes the gradients of the outputs from the tape, adds to those of the weights, gives the tape
   * those of the activation inputs, and releases everything the operation saved.
   */
  void backward(Tape tape);
}
