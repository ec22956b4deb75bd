package io.panatron.runtime.generate;

import io.panatron.runtime.UserError;

/**
 * How the next token is drawn from the model's logits.
 *
 * <p>The steps follow transformers' logits processors, in their order: the repetition penalty, the
 * temperature, top-k, top-p; at least one token is kept.
 *
 * @param temperature divides the logits; 0 takes the most probable token (greedy decoding)
 * @param topK keeps the k most probable tokens, and those as probable as the last of them; 0 keeps
 *     all
 * @param topP keeps the most probable tokens whose probabilities reach this sum; 1 keeps all
 * @param repetitionPenalty divides positive logits of tokens seen before, prompt included, and
 *     multiplies negative ones; 1 changes nothing. Source: Keskar et al., "CTRL", section 4.1
 */
public record Sampling(double temperature, int topK, double topP, double repetitionPenalty) {
  /** The most probable token each time. */
  public static final Sampling GREEDY = new Sampling(0, 0, 1, 1);

  public Sampling {
    if (!(temperature >= 0) || Double.isInfinite(temperature)) {
      throw new UserError(
          "--temperature is %s; it must be 0 (the most probable token) or more."
              .formatted(temperature));
    }
    if (topK < 0) {
      throw new UserError("--top_k is %d; it must be 0 (all tokens) or more.".formatted(topK));
    }
    if (!(topP > 0 && topP <= 1)) {
      throw new UserError("--top_p is %s; it must be above 0 and at most 1.".formatted(topP));
    }
    if (!(repetitionPenalty > 0) || Double.isInfinite(repetitionPenalty)) {
      throw new UserError(
          "--repetition_penalty is %s; it must be above 0, and 1 changes nothing."
              .formatted(repetitionPenalty));
    }
  }

  /** Plain sampling at a temperature. */
  public static Sampling atTemperature(double temperature) {
    return new Sampling(temperature, 0, 1, 1);
  }

  public boolean isGreedy() {
    return temperature == 0;
  }

  boolean penalises() {
    return repetitionPenalty != 1;
  }
}
