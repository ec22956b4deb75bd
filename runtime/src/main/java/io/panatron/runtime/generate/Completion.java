package io.panatron.runtime.generate;

/**
 * One sample of one prompt.
 *
 * @param prompt the prompt's place in the list that was given
 * @param sample 0 to {@code samples - 1}
 * @param tokens the new tokens, a stop token included
 * @param logProbabilities of each token, the natural logarithm of the probability with which it was
 *     drawn: after repetition penalty, temperature, top-k and top-p. Of greedy tokens the
 *     probability that the model gives them, after the repetition penalty
 */
public record Completion(
    int prompt, int sample, int[] tokens, double[] logProbabilities, StopReason reason) {}
