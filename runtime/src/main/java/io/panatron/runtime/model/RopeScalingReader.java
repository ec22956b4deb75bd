package io.panatron.runtime.model;

import com.fasterxml.jackson.databind.JsonNode;
import io.panatron.runtime.UserError;
import java.util.ArrayList;
import java.util.List;

/** The keys of each kind of {@link RopeScaling}, with what transformers makes of absent ones. */
final class RopeScalingReader {
  private static final String ORIGINAL = "original_max_position_embeddings";

  private final ConfigJson config;
  private final ConfigJson rope;
  private final String type;
  private final int maxPositions;

  private RopeScalingReader(ConfigJson config, ConfigJson rope, String type, int maxPositions) {
    this.config = config;
    this.rope = rope;
    this.type = type;
    this.maxPositions = maxPositions;
  }

  static RopeScaling read(ConfigJson config, ConfigJson rope, String type, int maxPositions) {
    RopeScalingReader reader = new RopeScalingReader(config, rope, type, maxPositions);
    return switch (type) {
      case "linear" -> new RopeScaling.Linear(reader.required("factor"));
      case "dynamic" -> new RopeScaling.Dynamic(reader.required("factor"), maxPositions);
      case "yarn" -> reader.yarn();
      case "longrope" -> reader.longRope();
      case "llama3" ->
          new RopeScaling.Llama3(
              reader.required("factor"),
              reader.required("low_freq_factor"),
              reader.required("high_freq_factor"),
              reader.originalMaxPositions());
      default ->
          throw config.error(
              "asks for rope type %s, which is not supported; supported are default, linear, dynamic, yarn, longrope and llama3"
                  .formatted(type));
    };
  }

  private RopeScaling yarn() {
    // As in transformers a factor of null, but not an absent one, means the ratio of the lengths.
    double factor = rope.isNull("factor") ? grown() : required("factor");
    double mscale = optional("mscale", 0);
    double mscaleAllDim = optional("mscale_all_dim", 0);
    double inferred = RopeScaling.Yarn.sharpening(factor, 1);
    if (mscale != 0 && mscaleAllDim != 0) {
      inferred =
          RopeScaling.Yarn.sharpening(factor, mscale)
              / RopeScaling.Yarn.sharpening(factor, mscaleAllDim);
    }
    return new RopeScaling.Yarn(
        factor,
        originalMaxPositions(),
        optional("beta_fast", 32),
        optional("beta_slow", 1),
        optional("attention_factor", inferred),
        rope.flag("truncate", true));
  }

  private RopeScaling longRope() {
    int original = originalMaxPositions();
    double factor = optional("factor", grown());
    return new RopeScaling.LongRope(
        factors("short_factor"),
        factors("long_factor"),
        original,
        optional("attention_factor", RopeScaling.LongRope.sharpening(factor, original)));
  }

  private List<Double> factors(String key) {
    JsonNode values = rope.get(key);
    if (values == null) {
      throw missing(key);
    }
    if (!values.isArray()) {
      throw rope.wrong(key, "must be a list of numbers");
    }
    List<Double> factors = new ArrayList<>();
    for (JsonNode value : values) {
      if (!value.isNumber()) {
        throw rope.wrong(key, "must be a list of numbers");
      }
      factors.add(value.doubleValue());
    }
    return factors;
  }

  private double grown() {
    return (double) maxPositions / originalMaxPositions();
  }

  private double required(String key) {
    if (rope.get(key) == null) {
      throw missing(key);
    }
    return rope.real(key, 1);
  }

  private double optional(String key, double absent) {
    return rope.get(key) == null ? absent : rope.real(key, absent);
  }

  private UserError missing(String key) {
    return config.error("has %s rope scaling without its %s".formatted(type, key));
  }

  /** The outer key wins, as in transformers; without either it is what the model is made for. */
  private int originalMaxPositions() {
    ConfigJson place = config.get(ORIGINAL) != null ? config : rope;
    return place.get(ORIGINAL) == null ? maxPositions : place.integer(ORIGINAL, maxPositions);
  }
}
