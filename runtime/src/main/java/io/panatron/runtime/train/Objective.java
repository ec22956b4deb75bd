package io.panatron.runtime.train;

import io.panatron.kernels.AttentionLayout;
import io.panatron.kernels.Communicator;
import io.panatron.kernels.Tensor;
import io.panatron.runtime.autograd.Tape;
import io.panatron.runtime.data.MicroBatch;
import io.panatron.runtime.model.TransformerModel;
import io.panatron.runtime.nn.DropoutPlan;
import io.panatron.runtime.task.Mean;
import java.util.SortedMap;
import org.jspecify.annotations.Nullable;

/** What a run minimises: how the model's view of a micro-batch becomes a loss and a gradient. */
public abstract sealed class Objective permits TokenObjective, SequenceObjective {
  Objective() {}

  /**
   * The loss of a micro-batch.
   *
   * @param sum of its parts: the losses of tokens, or its one loss
   * @param parts how many there are, for the mean that is shown
   * @param notFinite which loss is not finite, in words; null where all are
   */
  record Loss(double sum, long parts, @Nullable String notFinite) {}

  /** Where a step adds up what it shows besides the loss. */
  record Shown(ChannelLosses channels, SortedMap<String, Mean> measures) {}

  /** Whether gradients are divided by the parts of the whole global batch. */
  abstract boolean dividesByParts();

  /**
   * Runs the model forward and seeds the tape, so that backward gives the gradient.
   *
   * @param count micro-batches of the global batch
   * @param lossScale factor on the gradient
   */
  abstract Loss forward(
      Tape tape,
      TransformerModel model,
      MicroBatch batch,
      DeviceBatch device,
      DropoutPlan dropout,
      int count,
      double lossScale,
      Shown shown);

  /** As {@link #forward} on a backend that computes nothing, to see what memory it takes. */
  abstract void rehearse(
      Tape tape,
      TransformerModel model,
      Tensor ids,
      Tensor positions,
      Tensor labels,
      AttentionLayout layout,
      int[] sequenceStarts);

  /** Begins to evaluate. */
  abstract Pass evaluation();

  /** One evaluation. */
  interface Pass {
    /** Runs the model on a micro-batch without gradients; the tape does not record. */
    void add(Tape tape, TransformerModel model, MicroBatch batch, DeviceBatch device);

    /**
     * What all micro-batches gave.
     *
     * @param ranks that share them
     */
    Evaluation.Result result(Communicator ranks);
  }
}
