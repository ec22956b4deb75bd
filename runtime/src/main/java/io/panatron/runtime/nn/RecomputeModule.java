package io.panatron.runtime.nn;

import java.util.Locale;

/** A part of a layer that {@code --recompute_modules} can name. */
public enum RecomputeModule {
  /**
   * Attention between the projections. Its scores and probabilities are never stored; what remains
   * are query, key and value heads, which are split again from the projection where head norms keep
   * that.
   */
  CORE_ATTN,
  /** Both norms of a layer, computed again from the residual stream. */
  LAYERNORM,
  /** The feed-forward network, run again from its normalised input. */
  MLP;

  /** The name on the command line. */
  public String label() {
    return name().toLowerCase(Locale.ROOT);
  }
}
