package io.panatron.runtime.nn;

import io.panatron.kernels.AttentionLayout;
import io.panatron.kernels.RotaryTable;
import io.panatron.kernels.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * What the layers must know of the tokens they see, besides their hidden states.
 *
 * @param positions [tokens] I32: each token's place in its sequence
 * @param layout which tokens form a sequence
 * @param rotary angles by position
 * @param cache keys and values of earlier tokens, or null in training
 * @param dropout what is dropped, which is nothing outside training
 */
public record SequenceContext(
    Tensor positions,
    AttentionLayout layout,
    RotaryTable rotary,
    @Nullable KeyValueCache cache,
    DropoutPlan dropout) {}
