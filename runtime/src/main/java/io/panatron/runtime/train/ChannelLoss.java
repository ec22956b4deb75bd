package io.panatron.runtime.train;

/**
 * The loss of the samples of one channel.
 *
 * @param lossSum sum of the weighted losses over their target tokens
 * @param targetTokens how many these were
 */
public record ChannelLoss(double lossSum, long targetTokens) {
  /** Mean loss of a target token. */
  public double mean() {
    return lossSum / Math.max(targetTokens, 1);
  }

  public ChannelLoss plus(ChannelLoss other) {
    return new ChannelLoss(lossSum + other.lossSum, targetTokens + other.targetTokens);
  }
}
