package io.panatron.runtime.model;

/**
 * The names under which a family's {@code config.json} states its sizes.
 *
 * @param activation the function of the MLP
 */
record ConfigKeys(
    String hiddenSize,
    String intermediateSize,
    String numLayers,
    String numHeads,
    String maxPositions,
    String normEpsilon,
    String activation) {
  static final ConfigKeys COMMON =
      new ConfigKeys(
          "hidden_size",
          "intermediate_size",
          "num_hidden_layers",
          "num_attention_heads",
          "max_position_embeddings",
          "rms_norm_eps",
          "hidden_act");

  static final ConfigKeys GPT2 =
      new ConfigKeys(
          "n_embd",
          "n_inner",
          "n_layer",
          "n_head",
          "n_positions",
          "layer_norm_epsilon",
          "activation_function");

  static final ConfigKeys STARCODER2 =
      new ConfigKeys(
          "hidden_size",
          "intermediate_size",
          "num_hidden_layers",
          "num_attention_heads",
          "max_position_embeddings",
          "norm_epsilon",
          "hidden_act");
}
