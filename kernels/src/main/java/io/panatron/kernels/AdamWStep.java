package io.panatron.kernels;

/**
 * The scalars of one AdamW update.
 *
 * <p>With {@code g = gradientScale * grad}: {@code p *= 1 - learningRate * weightDecay}; {@code m =
 * beta1 m + (1 - beta1) g}; {@code v = beta2 v + (1 - beta2) g^2}; {@code p -= learningRate / (1 -
 * beta1^step) * m / (sqrt(v / (1 - beta2^step)) + epsilon)}.
 *
 * <p>Source: Loshchilov and Hutter, "Decoupled Weight Decay Regularization", algorithm 2.
 *
 * @param gradientScale clipping coefficient times loss normalisation
 * @param step 1 for the first update
 */
public record AdamWStep(
    double learningRate,
    double beta1,
    double beta2,
    double epsilon,
    double weightDecay,
    double gradientScale,
    long step) {

  /** {@code 1 - beta1^step}. */
  public double firstCorrection() {
    return 1 - Math.pow(beta1, (double) step);
  }

  /** {@code 1 - beta2^step}. */
  public double secondCorrection() {
    return 1 - Math.pow(beta2, (double) step);
  }
}
