package io.panatron.runtime.train;

import io.panatron.runtime.data.MicroBatch;
import io.panatron.runtime.task.Measures;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** How a rank runs the forward and backward passes of its micro-batches. */
public interface Passes {
  /**
   * Runs all passes of one iteration, after which the gradients of all micro-batches are added up.
   *
   * @param loss asked where losses come out, which under a pipeline is the last stage alone
   */
  Times run(long iteration, List<MicroBatch> batches, LossFunction loss);

  /** The micro-batch that took the most memory so far; null before the first. */
  @Nullable ActivationPeak activationPeak();

  /** Wall time spent in the two kinds of passes. */
  record Times(long forwardNanos, long backwardNanos) {}

  /**
   * The most memory that a micro-batch took besides what lives as long as the run.
   *
   * @param sequenceStarts where the sequences of that micro-batch start, and where the last ends
   */
  record ActivationPeak(int[] sequenceStarts, long bytes) {}

  /** What a step makes of the losses of tokens, or of those of sequences. */
  interface LossFunction {
    /** What backward multiplies the loss of each token with: [tokens]. */
    double[] gradients(MicroBatch batch);

    /**
     * Takes note of the cross-entropy of each token.
     *
     * @param index of the micro-batch among those of this rank
     * @throws NonFiniteLossException if the step cannot go on
     */
    void take(int index, MicroBatch batch, double[] crossEntropies);

    /** What backward multiplies the gradient of a micro-batch's loss of sequences with. */
    double sequenceGradient();

    /**
     * Takes note of the loss of a micro-batch's sequences.
     *
     * @throws NonFiniteLossException if the step cannot go on
     */
    void take(int index, double sequenceLoss, Measures measures);
  }
}
