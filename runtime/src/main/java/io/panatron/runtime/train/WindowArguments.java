package io.panatron.runtime.train;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.panatron.runtime.UserError;
import io.panatron.runtime.model.ModelConfig;
import io.panatron.runtime.model.ModelFamily;
import io.panatron.runtime.model.SlidingWindow;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * {@code --window_size} and {@code --window_attn_skip_freq}, which change what config.json says.
 *
 * <p>A size of {@code 'l,0'} lets a token see itself and the {@code l} tokens before it: {@code
 * sliding_window} is {@code l + 1}. A frequency of {@code n} gives every {@code n}th layer the full
 * sequence; a list has a 1 for each layer with the window. Source: {@code
 * is_layer_window_attention} and {@code get_sliding_window_causal_mask} of Megatron-Core.
 */
final class WindowArguments {
  private static final Pattern SIZE =
      Pattern.compile("[(\\[]?\\s*(-?\\d{1,9})\\s*,\\s*0\\s*[)\\]]?");
  private static final Pattern LAYERS = Pattern.compile("\\[\\s*[01](\\s*,\\s*[01])*\\s*]");

  private WindowArguments() {}

  /**
   * Writes the two parameters into a configuration, as far as its family has keys for them.
   *
   * @throws UserError if they cannot be read
   */
  static void apply(
      @Nullable String size,
      @Nullable String skipFrequency,
      ObjectNode config,
      ModelFamily family) {
    if (size == null) {
      return;
    }
    int tokens = tokens(size);
    switch (family) {
      case MISTRAL, PHI3, STARCODER2 -> {
        if (tokens == 0) {
          config.putNull("sliding_window");
        } else {
          config.put("sliding_window", tokens);
        }
      }
      case QWEN2, QWEN3 -> {
        List<Boolean> layers = layers(skipFrequency, config.path("num_hidden_layers").asInt(32));
        boolean active = tokens > 0 && layers.contains(true);
        config.put("use_sliding_window", active);
        ArrayNode types = config.putArray("layer_types");
        layers.forEach(
            windowed -> types.add(active && windowed ? "sliding_attention" : "full_attention"));
        if (active) {
          config.put("sliding_window", tokens);
        }
      }
      case LLAMA, GLM, ERNIE4_5, GPT2 -> {}
    }
  }

  /**
   * Checks the two parameters where they are given.
   *
   * @throws UserError if they cannot be read, or if config.json says something else
   */
  static void requireAgreement(
      @Nullable String size, @Nullable String skipFrequency, ModelConfig model) {
    if (size == null) {
      if (skipFrequency != null) {
        throw new UserError(
            "--window_attn_skip_freq %s says which layers have a window, but --window_size is unset; give both or leave both to config.json."
                .formatted(skipFrequency));
      }
      return;
    }
    int tokens = tokens(size);
    List<Boolean> layers = layers(skipFrequency, model.numLayers());
    SlidingWindow given =
        tokens == 0 || !layers.contains(true) ? null : new SlidingWindow(tokens, layers);
    if (!Objects.equals(given, model.slidingWindow())) {
      throw new UserError(
          "--window_size %s means %s, but the config.json of %s can only say %s; leave the parameter out."
              .formatted(
                  size,
                  described(given),
                  model.family().architecture(),
                  described(model.slidingWindow())));
    }
  }

  private static String described(@Nullable SlidingWindow window) {
    if (window == null) {
      return "no window";
    }
    return "a window of %d tokens in %d of %d layers"
        .formatted(
            window.tokens(), Collections.frequency(window.layers(), true), window.layers().size());
  }

  /** Visible tokens, or 0 for all. */
  private static int tokens(String size) {
    var match = SIZE.matcher(size.strip());
    int left = match.matches() ? Integer.parseInt(match.group(1)) : -2;
    if (left < -1) {
      throw new UserError(
          "--window_size '%s' is no window of a causal model; give the number of earlier tokens and 0, such as '128,0'."
              .formatted(size));
    }
    return left + 1;
  }

  private static List<Boolean> layers(@Nullable String skipFrequency, int numLayers) {
    if (skipFrequency == null) {
      return Collections.nCopies(numLayers, true);
    }
    String text = skipFrequency.strip();
    List<Boolean> layers = new ArrayList<>();
    if (text.matches("[1-9]\\d{0,8}")) {
      int every = Integer.parseInt(text);
      for (int layer = 1; layer <= numLayers; layer++) {
        layers.add(layer % every != 0);
      }
      return layers;
    }
    if (LAYERS.matcher(text).matches()) {
      text.chars().filter(c -> c == '0' || c == '1').forEach(c -> layers.add(c == '1'));
    }
    if (layers.size() != numLayers) {
      throw new UserError(
          "--window_attn_skip_freq '%s' is neither a whole number nor a list of a 0 or 1 for each of the %d layers, such as '[1,0]'."
              .formatted(skipFrequency, numLayers));
    }
    return layers;
  }
}
