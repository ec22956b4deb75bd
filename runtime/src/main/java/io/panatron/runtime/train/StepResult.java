package io.panatron.runtime.train;

import io.panatron.runtime.task.Mean;
import java.util.OptionalDouble;
import java.util.SortedMap;

/**
 * What one optimizer step saw and did.
 *
 * @param lossSum sum of the weighted losses over all target tokens of the global batch, or of the
 *     losses of its micro-batches where these are losses of sequences; not finite only where the
 *     step was skipped
 * @param targetTokens how many tokens were targets, or how many micro-batches had a loss
 * @param tokens how many tokens were processed, prompts and padding included
 * @param gradientNorm L2 norm before clipping; NaN where the step was skipped
 * @param learningRate rate of this update
 * @param skipped whether nothing was updated, since the gradients overflowed under their loss scale
 * @param lossScale of the next step; empty where losses are not scaled
 * @param times where the time went
 * @param channels losses by channel; none unless asked for
 * @param measures what else the objective measures, by name
 */
public record StepResult(
    double lossSum,
    long targetTokens,
    long tokens,
    double gradientNorm,
    double learningRate,
    boolean skipped,
    OptionalDouble lossScale,
    Times times,
    SortedMap<String, ChannelLoss> channels,
    SortedMap<String, Mean> measures) {

  /**
   * Wall time of the parts of a step.
   *
   * @param forwardNanos forward passes of all micro-batches
   * @param backwardNanos backward passes of all micro-batches
   * @param optimizerNanos gradient norm, clipping and update
   */
  public record Times(long forwardNanos, long backwardNanos, long optimizerNanos) {}

  /** Mean loss of a target token. */
  public double loss() {
    return lossSum / Math.max(targetTokens, 1);
  }
}
