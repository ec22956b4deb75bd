package io.panatron.runtime.model;

import java.util.List;

/**
 * The names of a family's weights in Hugging Face files, without {@code .weight} and {@code .bias}.
 *
 * @param base what stands before all but the output head
 * @param embedding of tokens
 * @param positions learned positions; empty where a family has none
 * @param layers what stands before the number of a layer
 * @param inputNorm the norm before attention
 * @param qkv one fused projection, or those of queries, keys and values
 * @param attentionOutput the projection behind attention
 * @param mlpNorm the norm before the MLP
 * @param up one projection, or those of gate and up
 * @param down the projection back to the residual stream
 * @param transposed whether matrices of layers are stored as [in, out]
 */
record WeightNames(
    String base,
    String embedding,
    String positions,
    String layers,
    String inputNorm,
    List<String> qkv,
    String attentionOutput,
    String mlpNorm,
    List<String> up,
    String down,
    String finalNorm,
    boolean transposed) {
  private static final List<String> SEPARATE_QKV =
      List.of("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj");

  static final WeightNames LLAMA =
      likeLlama(SEPARATE_QKV, List.of("mlp.gate_proj", "mlp.up_proj"), "mlp.down_proj");

  /** Llama's names, but gate and up in one matrix. */
  static final WeightNames GLM =
      likeLlama(SEPARATE_QKV, List.of("mlp.gate_up_proj"), "mlp.down_proj");

  static final WeightNames PHI3 =
      likeLlama(List.of("self_attn.qkv_proj"), List.of("mlp.gate_up_proj"), "mlp.down_proj");

  static final WeightNames STARCODER2 = likeLlama(SEPARATE_QKV, List.of("mlp.c_fc"), "mlp.c_proj");

  static final WeightNames GPT2 =
      new WeightNames(
          "transformer.",
          "wte",
          "wpe",
          "h.",
          "ln_1",
          List.of("attn.c_attn"),
          "attn.c_proj",
          "ln_2",
          List.of("mlp.c_fc"),
          "mlp.c_proj",
          "ln_f",
          true);

  private static WeightNames likeLlama(List<String> qkv, List<String> up, String down) {
    return new WeightNames(
        "model.",
        "embed_tokens",
        "",
        "layers.",
        "input_layernorm",
        qkv,
        "self_attn.o_proj",
        "post_attention_layernorm",
        up,
        down,
        "norm",
        false);
  }
}
