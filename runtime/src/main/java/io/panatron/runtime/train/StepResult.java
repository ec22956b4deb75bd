package io.panatron.runtime.train;

/**
 * What one optimizer step saw and did.
 *
 * @param lossSum sum of the weighted losses over all target tokens of the global batch
 * @param targetTokens how many tokens were targets
 * @param tokens how many tokens were processed, prompts and padding included
 * @param gradientNorm L2 norm before clipping
 * @param learningRate rate of this update
 */
public record StepResult(
    double lossSum, long targetTokens, long tokens, double gradientNorm, double learningRate) {

  /** Mean loss of a target token. */
  public double loss() {
    return lossSum / Math.max(targetTokens, 1);
  }
}
