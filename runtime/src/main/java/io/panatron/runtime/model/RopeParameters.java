package io.panatron.runtime.model;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import org.jspecify.annotations.Nullable;

/**
 * Rotary positions as {@code config.json} gives them: {@code rope_parameters} (transformers 5), or
 * {@code rope_theta} and {@code rope_scaling} (before), or both.
 *
 * <p>Where both are there they must not contradict each other, since versions of transformers read
 * one or the other; only a {@code rope_theta} beside {@code rope_parameters} gives way to the one
 * inside, as in transformers 5.
 *
 * @param theta the base
 * @param scaling null without scaling
 * @param partialFactor the share of each head that is rotated
 */
record RopeParameters(double theta, @Nullable RopeScaling scaling, double partialFactor) {
  /** Of a model that rotates nothing. */
  static final RopeParameters NONE = new RopeParameters(10_000, null, 0);

  static RopeParameters read(ConfigJson config, ModelFamily family, int maxPositions) {
    ObjectNode merged = merged(config);
    ConfigJson rope = config.inside(merged);
    double partial = partialFactor(config, rope, family);
    ConfigJson thetaPlace = rope.get("rope_theta") == null ? config : rope;
    double theta =
        thetaPlace.get("rope_theta") == null
            ? family.defaults().ropeTheta()
            : thetaPlace.real("rope_theta", family.defaults().ropeTheta());
    String type = rope.text("rope_type");
    if (family == ModelFamily.PHI3 && type != null) {
      // Its configuration class reads two older names so, and knows no other scaling.
      type = type.equals("su") || type.equals("yarn") ? "longrope" : type;
      if (!type.equals("longrope") && !type.equals("default")) {
        throw config.error(
            "asks for rope type %s, which Phi3ForCausalLM does not follow; only longrope is"
                .formatted(type));
      }
      if (type.equals("longrope") && config.get("original_max_position_embeddings") == null) {
        throw config.error("has longrope scaling without its original_max_position_embeddings");
      }
    }
    if (type == null || type.equals("default")) {
      return new RopeParameters(theta, null, partial);
    }
    return new RopeParameters(
        theta, RopeScalingReader.read(config, rope, type, maxPositions), partial);
  }

  /** The inner key wins, as in transformers. */
  private static double partialFactor(ConfigJson config, ConfigJson rope, ModelFamily family) {
    String key = "partial_rotary_factor";
    double absent = family.defaults().partialRotaryFactor();
    ConfigJson place = rope.get(key) == null ? config : rope;
    double partial = place.get(key) == null ? absent : place.real(key, absent);
    if (family.rotatesInPart()) {
      ConfigRange.check(key, partial, 1e-3, 1);
    } else if (partial != 1) {
      throw config.error(
          "asks for %s %s, which is not supported: %s rotates whole heads"
              .formatted(key, partial, family.architecture()));
    }
    return partial;
  }

  private static ObjectNode merged(ConfigJson config) {
    ObjectNode older = normalized(config, "rope_scaling");
    ObjectNode newer = normalized(config, "rope_parameters");
    if (older == null || newer == null) {
      ObjectNode only = newer == null ? older : newer;
      return only == null ? JsonNodeFactory.instance.objectNode() : only;
    }
    for (String key : (Iterable<String>) older::fieldNames) {
      JsonNode other = newer.get(key);
      if (other != null && !same(older.get(key), other)) {
        throw config.error(
            "gives %s as %s in rope_scaling and as %s in rope_parameters; make them equal"
                .formatted(key, older.get(key), other));
      }
    }
    newer.setAll(older);
    return newer;
  }

  private static boolean same(JsonNode a, JsonNode b) {
    return a.isNumber() && b.isNumber() ? a.doubleValue() == b.doubleValue() : a.equals(b);
  }

  /** A copy with {@code rope_type} in place of the older {@code type}. */
  private static @Nullable ObjectNode normalized(ConfigJson config, String key) {
    ObjectNode found = config.object(key);
    if (found == null) {
      return null;
    }
    ObjectNode rope = found.deepCopy();
    JsonNode older = rope.remove("type");
    if (older != null && !rope.has("rope_type")) {
      rope.set("rope_type", older);
    }
    for (JsonNode value : rope) {
      if (value.isObject()) {
        throw config.error("gives %s per layer type, which is not supported".formatted(key));
      }
    }
    return rope;
  }
}
