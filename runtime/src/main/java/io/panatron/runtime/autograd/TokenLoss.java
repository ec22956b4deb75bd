package io.panatron.runtime.autograd;

/** What a token's cross-entropy {@code l} contributes to the loss. */
public enum TokenLoss {
  /** {@code l} itself. */
  CROSS_ENTROPY,
  /**
   * Dynamic Fine-Tuning: {@code l exp(-l)}, of which the second factor, the probability of the
   * label, counts as a constant when it is differentiated. Source: arXiv 2508.05629.
   */
  DFT;

  /** The loss of a token in nats. */
  public double of(double crossEntropy) {
    return switch (this) {
      case CROSS_ENTROPY -> crossEntropy;
      case DFT -> crossEntropy * Math.exp(-crossEntropy);
    };
  }
}
