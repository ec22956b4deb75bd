package io.panatron.runtime.model;

import java.util.Collections;

/**
 * Floating-point operations of training, forward and backward, counted as Megatron-Core does.
 *
 * <p>Every matmul counts 2 operations for a multiplication and an addition, and three times:
 * forward, gradient of the input, gradient of the weight. For one token of a model with hidden size
 * h, query width q, key-value width k, MLP width f, L layers and vocabulary v that is
 *
 * <pre>6 (L (h (q + 2 k) + q h + m h f) + h v)</pre>
 *
 * with m = 3 projections in an MLP with a gate and 2 in one without. For a sequence of s tokens the
 * causal attention of a layer adds, half of the square being masked, {@code 6 q s^2}; behind a
 * window of w tokens, once that is shorter than the sequence, {@code 6 q (2 w s - w^2)}. Norms,
 * heads that score a sequence, activations, the optimizer and recomputation do not count.
 *
 * <p>Source: Megatron-LM, training/training.py, {@code num_floating_point_operations}, which counts
 * no windows.
 *
 * @param perToken operations of a token, attention scores apart
 * @param perSquaredLength operations of the layers without a window for each unit of the squared
 *     length of a sequence
 * @param window tokens that a token sees in the other layers
 * @param perWindowedSquare operations of those layers for each unit of the square, or of what a
 *     window leaves of it
 */
public record FlopCount(
    double perToken, double perSquaredLength, int window, double perWindowedSquare) {
  private static final double FORWARD_AND_BACKWARD = 3 * 2;

  /** Without windows. */
  public FlopCount(double perToken, double perSquaredLength) {
    this(perToken, perSquaredLength, 1, 0);
  }

  public static FlopCount of(ModelConfig config) {
    double hidden = config.hiddenSize();
    double attention =
        hidden * (config.queryRows() + 2.0 * config.keyValueRows()) + config.queryRows() * hidden;
    double projections = config.activation().gated() ? 3 : 2;
    double mlp = projections * hidden * config.intermediateSize();
    double output =
        config.output() instanceof HeadKind.Vocabulary ? hidden * config.vocabSize() : 0;
    SlidingWindow window = config.slidingWindow();
    int windowed = window == null ? 0 : Collections.frequency(window.layers(), true);
    double perLayer = FORWARD_AND_BACKWARD * config.queryRows();
    return new FlopCount(
        FORWARD_AND_BACKWARD * (config.numLayers() * (attention + mlp) + output),
        perLayer * (config.numLayers() - windowed),
        window == null ? 1 : window.tokens(),
        perLayer * windowed);
  }

  /**
   * The operations of one sequence.
   *
   * @param length its tokens
   */
  public double of(int length) {
    double square = (double) length * length;
    double seen = length <= window ? square : (double) window * (2.0 * length - window);
    return perToken * length + perSquaredLength * square + perWindowedSquare * seen;
  }
}
