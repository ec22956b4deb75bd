package io.panatron.runtime.nn;

import io.panatron.kernels.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * The hidden states between two layers, with the addition of the last layer's output still to do:
 * the next norm does it on the way.
 *
 * @param sum [tokens, hidden]
 * @param delta [tokens, hidden], or null before the first layer
 */
public record ResidualStream(Tensor sum, @Nullable Tensor delta) {}
