package io.panatron.runtime.model;

/**
 * Floating-point operations of training, forward and backward, counted as Megatron-Core does.
 *
 * <p>Every matmul counts 2 operations for a multiplication and an addition, and three times:
 * forward, gradient of the input, gradient of the weight. For one token of a model with hidden size
 * h, query width q, key-value width k, gate width f, L layers and vocabulary v that is
 *
 * <pre>6 (L (h (q + 2 k) + q h + 3 h f) + h v)</pre>
 *
 * and for a sequence of s tokens the causal attention adds, half of the square being masked, {@code
 * 6 L q s^2}. Norms, activations, the optimizer and recomputation do not count.
 *
 * <p>Source: Megatron-LM, training/training.py, {@code num_floating_point_operations}.
 *
 * @param perToken operations of a token, attention scores apart
 * @param perSquaredLength operations for each unit of the sum of squared sequence lengths
 */
public record FlopCount(double perToken, double perSquaredLength) {
  private static final double FORWARD_AND_BACKWARD = 3 * 2;

  public static FlopCount of(ModelConfig config) {
    double hidden = config.hiddenSize();
    double attention =
        hidden * (config.queryRows() + 2.0 * config.keyValueRows()) + config.queryRows() * hidden;
    double mlp = 3 * hidden * config.intermediateSize();
    double output = hidden * config.vocabSize();
    return new FlopCount(
        FORWARD_AND_BACKWARD * (config.numLayers() * (attention + mlp) + output),
        FORWARD_AND_BACKWARD * config.numLayers() * config.queryRows());
  }

  /**
   * The operations of some sequences.
   *
   * @param tokens sum of their lengths
   * @param squaredLengths sum of the squares of their lengths
   */
  public double of(double tokens, double squaredLengths) {
    return perToken * tokens + perSquaredLength * squaredLengths;
  }
}
