package io.panatron.runtime.nn;

import io.panatron.kernels.AttentionLayout;
import io.panatron.kernels.RotaryTable;
import io.panatron.kernels.Tensor;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What the layers must know of the tokens they see, besides their hidden states.
 *
 * @param positions [tokens] I32: each token's place in its sequence
 * @param layout which tokens form a sequence
 * @param rotary angles by position
 * @param cache keys and values of earlier tokens, or null in training
 * @param dropout what is dropped, which is nothing outside training
 * @param recompute parts of the layers that backward computes again
 */
public record SequenceContext(
    Tensor positions,
    AttentionLayout layout,
    RotaryTable rotary,
    @Nullable KeyValueCache cache,
    DropoutPlan dropout,
    Set<RecomputeModule> recompute) {
  public SequenceContext {
    recompute = Set.copyOf(recompute);
  }

  /** A context in which nothing is recomputed. */
  public SequenceContext(
      Tensor positions,
      AttentionLayout layout,
      RotaryTable rotary,
      @Nullable KeyValueCache cache,
      DropoutPlan dropout) {
    this(positions, layout, rotary, cache, dropout, Set.of());
  }

  /** The same tokens, with these parts of the layers computed again by backward. */
  SequenceContext recomputing(Set<RecomputeModule> modules) {
    return new SequenceContext(positions, layout, rotary, cache, dropout, modules);
  }
}
