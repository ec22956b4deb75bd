package io.panatron.runtime.model.lora;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What Megatron-Core calls the modules and parameters that the trainer names as Llama's files do.
 */
final class ModuleNames {
  private static final Map<String, String> TOP =
      Map.of(
          "model.embed_tokens", "embedding.word_embeddings",
          "model.embed_positions", "embedding.position_embeddings",
          "model.norm", "decoder.final_layernorm",
          "lm_head", "output_layer");

  private static final Map<String, String> IN_LAYER = inLayer();

  /** Norms that Transformer Engine fuses with the projection behind them. */
  private static final Map<String, String> FUSED_NORMS =
      Map.of(
          "input_layernorm", "self_attention.linear_qkv.layer_norm_",
          "post_attention_layernorm", "mlp.linear_fc1.layer_norm_");

  private static final String LAYERS = "model.layers.";

  private ModuleNames() {}

  private static Map<String, String> inLayer() {
    Map<String, String> names = new LinkedHashMap<>();
    names.put("input_layernorm", "input_layernorm");
    names.put("self_attn.qkv_proj", "self_attention.linear_qkv");
    names.put("self_attn.q_norm", "self_attention.q_layernorm");
    names.put("self_attn.k_norm", "self_attention.k_layernorm");
    names.put("self_attn.o_proj", "self_attention.linear_proj");
    names.put("post_attention_layernorm", "pre_mlp_layernorm");
    names.put("mlp.gate_up_proj", "mlp.linear_fc1");
    names.put("mlp.down_proj", "mlp.linear_fc2");
    return names;
  }

  /** The module of a parameter, such as {@code lm_head} of {@code lm_head.weight}. */
  static String module(String parameter) {
    return parameter.substring(0, parameter.lastIndexOf('.'));
  }

  /** Megatron's name of a module. */
  static String megatron(String module) {
    String top = TOP.get(module);
    if (top != null) {
      return top;
    }
    int dot = module.indexOf('.', LAYERS.length());
    String inLayer = dot < 0 ? null : IN_LAYER.get(module.substring(dot + 1));
    if (!module.startsWith(LAYERS) || inLayer == null) {
      throw new IllegalArgumentException("no module is named " + module);
    }
    return "decoder.layers." + module.substring(LAYERS.length(), dot) + "." + inLayer;
  }

  /** Megatron's names of a parameter: a norm may be fused with a projection. */
  static List<String> megatronParameters(String parameter) {
    String module = module(parameter);
    String kind = parameter.substring(module.length() + 1);
    List<String> names = new ArrayList<>(List.of(megatron(module) + "." + kind));
    int dot = module.indexOf('.', Math.min(LAYERS.length(), module.length()));
    String fused = dot < 0 ? null : FUSED_NORMS.get(module.substring(dot + 1));
    if (fused != null) {
      names.add("decoder.layers." + module.substring(LAYERS.length(), dot) + "." + fused + kind);
    }
    return names;
  }

  /** Whether a module is meant by a suffix of its name, as PEFT compares them. */
  static boolean hasSuffix(String module, String suffix) {
    return module.equals(suffix) || module.endsWith("." + suffix);
  }
}
