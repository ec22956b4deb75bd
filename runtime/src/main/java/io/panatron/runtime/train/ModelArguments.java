package io.panatron.runtime.train;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.panatron.runtime.config.ParsedArguments;
import io.panatron.runtime.model.ConfigOverrides;
import io.panatron.runtime.model.ModelConfig;
import io.panatron.runtime.model.ModelFamily;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The parameters that describe a model, where they are given: they change what config.json says,
 * and those that it cannot say must be what the model's family has.
 */
final class ModelArguments {
  private static final List<String> NAMES =
      List.of(
          "num_layers",
          "hidden_size",
          "ffn_hidden_size",
          "num_attention_heads",
          "num_query_groups",
          "kv_channels",
          "max_position_embeddings",
          "padded_vocab_size",
          "norm_epsilon",
          "untie_embeddings_and_output_weights",
          "disable_bias_linear",
          "add_qkv_bias",
          "rope_scaling",
          "rotary_base",
          "rotary_percent");

  private ModelArguments() {}

  /** What of the command line changes config.json. */
  static ConfigOverrides overrides(ParsedArguments arguments) {
    Map<String, Object> given = new LinkedHashMap<>();
    for (String name : NAMES) {
      Object value = arguments.value(name);
      if (arguments.isGiven(name) && value != null) {
        given.put(name, value);
      }
    }
    return new ConfigOverrides(given);
  }

  /**
   * Changes {@code config} as the command line asks for.
   *
   * @param file where it comes from, for messages
   * @return what it then means
   */
  static ModelConfig apply(ParsedArguments arguments, Path file, ObjectNode config) {
    ModelFamily family = ModelFamily.of(file, config);
    overrides(arguments).apply(config, family);
    String size = arguments.textOrNull("window_size");
    String frequency = arguments.textOrNull("window_attn_skip_freq");
    WindowArguments.apply(size, frequency, config, family);
    ModelConfig model = ModelConfig.of(file, config);
    arguments.requireAgreement(named(model), model.family().architecture());
    WindowArguments.requireAgreement(size, frequency, model);
    return model;
  }

  /** What a model is, under the names of the command line. */
  private static Map<String, Object> named(ModelConfig model) {
    ModelFamily family = model.family();
    Map<String, Object> values = new LinkedHashMap<>();
    values.put("num_layers", (long) model.numLayers());
    values.put("hidden_size", (long) model.hiddenSize());
    values.put("ffn_hidden_size", (long) model.intermediateSize());
    values.put("num_attention_heads", (long) model.numHeads());
    values.put("num_query_groups", (long) model.numKeyValueHeads());
    values.put("group_query_attention", model.numKeyValueHeads() > 1);
    values.put("kv_channels", (long) model.headDim());
    values.put("max_position_embeddings", (long) model.maxPositionEmbeddings());
    values.put(
        "position_embedding_type",
        family.positions() == ModelFamily.PositionKind.LEARNED ? "learned_absolute" : "rope");
    values.put(
        "normalization", family.norm() == ModelFamily.NormKind.LAYER ? "LayerNorm" : "RMSNorm");
    values.put("norm_epsilon", model.normEpsilon());
    values.put("swiglu", family.gated());
    values.put("qk_layernorm", model.qkNorm());
    values.put("untie_embeddings_and_output_weights", !model.tieWordEmbeddings());
    values.put("add_qkv_bias", model.qkvBias());
    values.put("disable_bias_linear", withoutBiases(model));
    values.put("padded_vocab_size", (long) model.vocabSize());
    values.put("model_type", family.modelType());
    if (family.positions() == ModelFamily.PositionKind.LEARNED) {
      values.put("rotary_interleaved", "no rotary positions");
      values.put("rotary_base", "no rotary positions");
      values.put("rotary_percent", "no rotary positions");
      values.put("rope_scaling", "no rotary positions");
    } else {
      values.put(
          "rotary_interleaved", family.positions() == ModelFamily.PositionKind.INTERLEAVED_ROTARY);
      values.put("rotary_base", model.ropeTheta());
      if (!family.rotatesInPart()) {
        values.put("rotary_percent", 1.0);
      }
    }
    return values;
  }

  /** Of all projections, or of all but those of q, k and v. */
  private static Object withoutBiases(ModelConfig model) {
    if (model.outputBias() != model.mlpBias() || (model.mlpBias() && !model.qkvBias())) {
      return "biases in some projections";
    }
    return !model.mlpBias();
  }
}
