package io.panatron.runtime.model;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.panatron.runtime.UserError;
import io.panatron.runtime.checkpoint.BoundedJson;
import java.nio.charset.StandardCharsets;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Parameters of the command line that change what {@code config.json} says, under Megatron's names.
 *
 * <p>Each becomes the keys of the model's family, so that the folder a run saves states what was
 * trained. A parameter for which a family has no key changes nothing here; the caller compares the
 * {@link ModelConfig} that comes out with what was asked for.
 */
public final class ConfigOverrides {
  /** More are refused when the configuration is read. */
  private static final int MOST_LAYERS = 10_000;

  private final Map<String, Object> given;

  /**
   * @param given parameter name to Long, Double, Boolean or String
   */
  public ConfigOverrides(Map<String, Object> given) {
    this.given = new LinkedHashMap<>(given);
  }

  /** {@code its config.json with --num_layers 2}, for messages. */
  public String source() {
    if (given.isEmpty()) {
      return "its config.json";
    }
    return given.entrySet().stream()
        .map(entry -> "--" + entry.getKey() + " " + entry.getValue())
        .collect(Collectors.joining(" and ", "its config.json with ", ""));
  }

  /**
   * Changes the configuration of a model.
   *
   * @param family to which it belongs
   */
  public void apply(ObjectNode config, ModelFamily family) {
    ConfigKeys keys = family.keys();
    sizes(config, keys);
    if (family != ModelFamily.GPT2) {
      whole(config, "num_query_groups", "num_key_value_heads");
      whole(config, "kv_channels", "head_dim");
    }
    Double epsilon = (Double) given.get("norm_epsilon");
    if (epsilon != null) {
      config.put(keys.normEpsilon(), epsilon);
    }
    Boolean untied = (Boolean) given.get("untie_embeddings_and_output_weights");
    if (untied != null) {
      config.put("tie_word_embeddings", !untied);
    }
    biases(config, family);
    if (family.positions() != ModelFamily.PositionKind.LEARNED) {
      rotary(config, family);
    }
  }

  private void sizes(ObjectNode config, ConfigKeys keys) {
    whole(config, "num_layers", keys.numLayers());
    layerTypes(config);
    whole(config, "hidden_size", keys.hiddenSize());
    whole(config, "ffn_hidden_size", keys.intermediateSize());
    whole(config, "num_attention_heads", keys.numHeads());
    whole(config, "max_position_embeddings", keys.maxPositions());
    whole(config, "padded_vocab_size", "vocab_size");
  }

  /** A list for each layer keeps its meaning where all its entries are the same. */
  private void layerTypes(ObjectNode config) {
    Long layers = (Long) given.get("num_layers");
    if (layers == null
        || layers > MOST_LAYERS
        || !(config.get("layer_types") instanceof ArrayNode types)) {
      return;
    }
    Set<JsonNode> kinds = new HashSet<>();
    types.forEach(kinds::add);
    if (kinds.size() == 1) {
      ArrayNode changed = config.putArray("layer_types");
      for (int layer = 0; layer < layers; layer++) {
        changed.add(kinds.iterator().next());
      }
    }
  }

  private void whole(ObjectNode config, String parameter, String key) {
    Long value = (Long) given.get(parameter);
    if (value == null) {
      return;
    }
    if (value > Integer.MAX_VALUE) {
      throw new UserError(
          "--%s %d is more than any model has; lower it.".formatted(parameter, value));
    }
    config.put(key, value.intValue());
  }

  /**
   * Megatron tells biases of q, k and v from those of all projections; of the families here only
   * GLM does, so that elsewhere the former alone can be taken away but not added.
   */
  private void biases(ObjectNode config, ModelFamily family) {
    Boolean none = (Boolean) given.get("disable_bias_linear");
    Boolean qkv = (Boolean) given.get("add_qkv_bias");
    @Nullable Boolean all = none == null ? null : !none;
    @Nullable Boolean together = all == null && Boolean.FALSE.equals(qkv) ? qkv : all;
    switch (family) {
      case LLAMA -> {
        flag(config, "attention_bias", together);
        flag(config, "mlp_bias", all);
      }
      case QWEN3 -> flag(config, "attention_bias", together);
      case GLM -> flag(config, "attention_bias", qkv);
      case ERNIE4_5, STARCODER2 -> flag(config, "use_bias", together);
      case QWEN2, MISTRAL, PHI3, GPT2 -> {}
    }
  }

  private static void flag(ObjectNode config, String key, @Nullable Boolean value) {
    if (value != null) {
      config.put(key, value);
    }
  }

  private void rotary(ObjectNode config, ModelFamily family) {
    String scaling = (String) given.get("rope_scaling");
    if (scaling != null) {
      scale(config, scaling);
    }
    Long base = (Long) given.get("rotary_base");
    if (base != null) {
      number(config, "rope_theta", base.doubleValue());
    }
    Double share = (Double) given.get("rotary_percent");
    if (share != null && family.rotatesInPart()) {
      number(config, "partial_rotary_factor", share);
    }
  }

  /** Where {@code config.json} has such a number, in its older and its newer place. */
  private static void number(ObjectNode config, String key, double value) {
    boolean newer = config.get("rope_parameters") instanceof ObjectNode;
    for (String place : new String[] {"rope_parameters", "rope_scaling"}) {
      if (config.get(place) instanceof ObjectNode rope
          && (place.equals("rope_parameters") || rope.has(key))) {
        rope.put(key, value);
      }
    }
    if (!newer || config.has(key)) {
      config.put(key, value);
    }
  }

  /** Replaces the scaling and keeps what else stands beside it: base and rotated share. */
  private static void scale(ObjectNode config, String text) {
    ObjectNode scaling =
        BoundedJson.parseObject(text.getBytes(StandardCharsets.UTF_8), "--rope_scaling");
    JsonNode older = scaling.remove("type");
    if (older != null && !scaling.has("rope_type")) {
      scaling.set("rope_type", older);
    }
    if (config.get("rope_parameters") instanceof ObjectNode before) {
      ObjectNode merged = scaling.deepCopy();
      for (String key : new String[] {"rope_theta", "partial_rotary_factor"}) {
        if (before.has(key) && !merged.has(key)) {
          merged.set(key, before.get(key));
        }
      }
      config.set("rope_parameters", merged);
    }
    config.set("rope_scaling", scaling.isEmpty() ? JsonNodeFactory.instance.nullNode() : scaling);
    if (scaling.has("original_max_position_embeddings")) {
      config.remove("original_max_position_embeddings");
    }
  }
}
