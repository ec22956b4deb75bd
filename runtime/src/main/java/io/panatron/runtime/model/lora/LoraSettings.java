package io.panatron.runtime.model.lora;

import io.panatron.runtime.UserError;
import io.panatron.runtime.checkpoint.AdapterConfig;

/**
 * How adapters are made, the same for all modules.
 *
 * @param rank columns of B
 * @param alpha numerator of the scale
 * @param dropout of what A reads, in training
 * @param trainsBiases whether all biases of the model are trained beside the adapters
 * @param rankStabilised whether the scale is {@code alpha / sqrt(rank)} instead of {@code alpha /
 *     rank}; source: Kalajdzievski, "A Rank Stabilization Scaling Factor for Fine-Tuning with LoRA"
 */
public record LoraSettings(
    int rank, double alpha, double dropout, boolean trainsBiases, boolean rankStabilised) {
  /** A rank beyond any use; keeps sizes within an int. */
  private static final int MOST_RANK = 1 << 16;

  public LoraSettings {
    if (rank < 1 || rank > MOST_RANK) {
      throw new UserError(
          "--lora_rank %d must be at least 1 and at most %d.".formatted(rank, MOST_RANK));
    }
    if (!(dropout >= 0 && dropout < 1)) {
      throw new UserError("--lora_dropout %s must be at least 0 and below 1.".formatted(dropout));
    }
    if (!Double.isFinite(alpha)) {
      throw new UserError("--lora_alpha %s is not a finite number.".formatted(alpha));
    }
  }

  /** Those of an adapter's configuration. */
  public static LoraSettings of(AdapterConfig config) {
    return new LoraSettings(
        config.rank(),
        config.alpha(),
        config.dropout(),
        config.trainsBiases(),
        config.rankStabilised());
  }

  /** What the product of the narrow matrices is multiplied by. */
  public double scale() {
    return rankStabilised ? alpha / Math.sqrt(rank) : alpha / rank;
  }
}
