package io.panatron.kernels;

/**
 * The scalars of one update of stochastic gradient descent with momentum.
 *
 * <p>With {@code g = gradientScale * grad + weightDecay * p}: {@code b = g} at the first step, else
 * {@code b = momentum b + g}; {@code p -= learningRate * b}.
 *
 * @param step 1 for the first update
 */
public record SgdStep(
    double learningRate, double momentum, double weightDecay, double gradientScale, long step) {}
