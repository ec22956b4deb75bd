package io.panatron.runtime.model;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Layers whose tokens see only the tokens just before them.
 *
 * <p>Token {@code j} is visible to token {@code i} when {@code 0 <= i - j < tokens}. Source: {@code
 * sliding_window_overlay} of transformers.
 *
 * @param tokens the most that a token sees, itself included
 * @param layers for each layer whether it has the window
 */
public record SlidingWindow(int tokens, List<Boolean> layers) {
  private static final String KEY = "sliding_window";

  /** What {@code sliding_window} means in Mistral and Qwen where the key is absent. */
  private static final int DEFAULT = 4096;

  public SlidingWindow {
    ConfigRange.check(KEY, tokens, 1, 1 << 30);
    layers = List.copyOf(layers);
  }

  /** The window of a configuration, or null where no layer has one. */
  static @Nullable SlidingWindow read(ConfigJson json, ModelFamily family, int numLayers) {
    return switch (family) {
      case LLAMA, GLM, ERNIE4_5, GPT2 -> null;
      case MISTRAL -> ofAllLayers(json, family, numLayers, DEFAULT);
      case PHI3, STARCODER2 -> ofAllLayers(json, family, numLayers, null);
      case QWEN2, QWEN3 -> ofQwen(json, numLayers);
    };
  }

  private static @Nullable SlidingWindow ofAllLayers(
      ConfigJson json, ModelFamily family, int numLayers, @Nullable Integer absent) {
    if (json.get("layer_types") != null) {
      throw json.error(
          "has layer_types, which %s does not follow; leave them out, so that the window is that of "
                  .formatted(family.architecture())
              + "every layer");
    }
    if (json.isNull(KEY) || (absent == null && !json.has(KEY))) {
      return null;
    }
    return new SlidingWindow(
        json.integer(KEY, absent == null ? 0 : absent),
        Collections.nCopies(Math.max(numLayers, 0), true));
  }

  private static @Nullable SlidingWindow ofQwen(ConfigJson json, int numLayers) {
    boolean active = json.flag("use_sliding_window", false) && !json.isNull(KEY);
    List<Boolean> layers = qwenLayers(json, numLayers, active);
    if (!layers.contains(true)) {
      return null;
    }
    if (!active) {
      throw json.error(
          "asks for layer type sliding_attention in layer_types without a window; "
              + "set use_sliding_window to true and sliding_window to its tokens");
    }
    return new SlidingWindow(json.integer(KEY, DEFAULT), layers);
  }

  private static List<Boolean> qwenLayers(ConfigJson json, int numLayers, boolean active) {
    List<Boolean> layers = new ArrayList<>();
    JsonNode types = json.get("layer_types");
    if (types == null) {
      int fullLayers = json.integer("max_window_layers", 28);
      for (int layer = 0; layer < numLayers; layer++) {
        layers.add(active && layer >= fullLayers);
      }
      return layers;
    }
    if (!types.isArray() || types.size() != numLayers) {
      throw json.wrong(
          "layer_types", "must be a list of num_hidden_layers %d names".formatted(numLayers));
    }
    for (JsonNode type : types) {
      layers.add(
          switch (type.asText()) {
            case "full_attention" -> false;
            case "sliding_attention" -> true;
            default ->
                throw json.error(
                    "asks for layer type %s in layer_types, which is not supported; only full_attention and sliding_attention are"
                        .formatted(type));
          });
    }
    return layers;
  }
}
