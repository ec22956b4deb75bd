package io.panatron.runtime.generate;

import io.panatron.runtime.UserError;
import java.util.Set;

/**
 * What to generate.
 *
 * @param sampling how tokens are drawn
 * @param maxNewTokens the most tokens of a sample
 * @param stopTokens tokens that end a sample
 * @param samples how many samples each prompt gets; its prompt is computed once
 * @param seed of the random streams, one for each sample of each prompt
 * @param batchSize samples decoded together; more are faster and need more memory
 * @param batchInvariant whether a sample has the same bits whatever is decoded beside it, at the
 *     price of speed. Else its logits may differ in their last bits with the number of samples that
 *     a step computes, since matrix products of few rows add in another order
 */
public record GenerationSettings(
    Sampling sampling,
    int maxNewTokens,
    Set<Integer> stopTokens,
    int samples,
    long seed,
    int batchSize,
    boolean batchInvariant) {
  public GenerationSettings {
    stopTokens = Set.copyOf(stopTokens);
    requirePositive("max_new_tokens", maxNewTokens);
    requirePositive("num_return_sequences", samples);
    requirePositive("micro_batch_size", batchSize);
  }

  /** The most probable continuation of each prompt. */
  public static GenerationSettings greedy(
      int maxNewTokens, Set<Integer> stopTokens, int batchSize) {
    return new GenerationSettings(
        Sampling.GREEDY, maxNewTokens, stopTokens, 1, 0, batchSize, false);
  }

  /** The same with another limit. */
  public GenerationSettings withMaxNewTokens(int limit) {
    return new GenerationSettings(
        sampling, limit, stopTokens, samples, seed, batchSize, batchInvariant);
  }

  private static void requirePositive(String name, int value) {
    if (value < 1) {
      throw new UserError("--%s is %d; it must be at least 1.".formatted(name, value));
    }
  }
}
