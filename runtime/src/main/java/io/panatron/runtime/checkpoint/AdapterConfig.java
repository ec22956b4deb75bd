package io.panatron.runtime.checkpoint;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.panatron.runtime.UserError;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * PEFT's {@code adapter_config.json}, as far as an adapter of kind LORA needs it.
 *
 * @param base what the adapter says it was made for; may be empty
 * @param trainsBiases PEFT's {@code bias} is {@code all} instead of {@code none}
 * @param targetModules ends of the names of adapted modules, in Hugging Face's names
 * @param modulesToSave names of modules trained whole
 * @param transposed whether the base model's matrices are stored as [in, out]
 */
public record AdapterConfig(
    String base,
    int rank,
    double alpha,
    double dropout,
    boolean trainsBiases,
    boolean rankStabilised,
    List<String> targetModules,
    List<String> modulesToSave,
    boolean transposed) {
  static final String FILE_NAME = "adapter_config.json";
  private static final long MAX_BYTES = 16L << 20;

  /** What changes the computation, and what this program would have to know of it. */
  private static final Map<String, String> UNKNOWN =
      Map.of(
          "use_dora", "DoRA",
          "use_qalora", "QALoRA",
          "lora_bias", "a bias of B",
          "rank_pattern", "modules of different rank",
          "alpha_pattern", "modules of different alpha",
          "layer_replication", "replicated layers",
          "target_parameters", "adapted parameters",
          "trainable_token_indices", "single trained tokens");

  public AdapterConfig {
    targetModules = List.copyOf(targetModules);
    modulesToSave = List.copyOf(modulesToSave);
  }

  /**
   * Reads the configuration of an adapter's folder.
   *
   * @throws UserError where the file is missing or malformed, or asks for something unknown
   */
  static AdapterConfig read(Path folder) {
    Path file = folder.resolve(FILE_NAME);
    ObjectNode root = BoundedJson.readObject(file, MAX_BYTES);
    String kind = root.path("peft_type").asText("LORA");
    if (!kind.equals("LORA")) {
      throw new UserError(
          "%s is of peft_type %s, and only LORA is known; give an adapter of that kind."
              .formatted(file, kind));
    }
    UNKNOWN.forEach((key, what) -> {
      JsonNode value = root.path(key);
      if (value.isContainerNode() ? !value.isEmpty() : value.asBoolean(false)) {
        throw new UserError(
            "%s has %s: %s (%s) is not supported; train an adapter without it."
                .formatted(file, key, what, value));
      }
    });
    String bias = root.path("bias").asText("none");
    if (!bias.equals("none") && !bias.equals("all")) {
      throw new UserError("%s has bias %s; none and all are known.".formatted(file, bias));
    }
    JsonNode rank = root.path("r");
    if (!rank.canConvertToInt() || !rank.isIntegralNumber() || rank.intValue() < 1) {
      throw new UserError(
          "%s has r %s; a rank is a whole number of at least 1.".formatted(file, rank));
    }
    double alpha = number(file, root, "lora_alpha", 8);
    double dropout = number(file, root, "lora_dropout", 0);
    if (!(dropout >= 0 && dropout < 1)) {
      throw new UserError(
          "%s has lora_dropout %s; it must be at least 0 and below 1.".formatted(file, dropout));
    }
    return new AdapterConfig(
        root.path("base_model_name_or_path").asText(""),
        rank.intValue(),
        alpha,
        dropout,
        bias.equals("all"),
        root.path("use_rslora").asBoolean(false),
        names(root.path("target_modules")),
        names(root.path("modules_to_save")),
        root.path("fan_in_fan_out").asBoolean(false));
  }

  private static double number(Path file, ObjectNode root, String key, double absent) {
    JsonNode value = root.path(key);
    if (value.isMissingNode() || value.isNull()) {
      return absent;
    }
    if (!value.isNumber() || !Double.isFinite(value.doubleValue())) {
      throw new UserError("%s has %s %s; it must be a number.".formatted(file, key, value));
    }
    return value.doubleValue();
  }

  private static List<String> names(JsonNode node) {
    List<String> names = new ArrayList<>();
    if (node.isTextual()) {
      names.add(node.textValue());
    }
    node.forEach(name -> names.add(name.asText()));
    return names;
  }

  /** The file's text, as PEFT reads it. */
  byte[] toBytes() {
    ObjectNode root = BoundedJson.newObject();
    root.put("base_model_name_or_path", base);
    root.put("bias", trainsBiases ? "all" : "none");
    root.put("fan_in_fan_out", transposed);
    root.put("inference_mode", true);
    root.put("init_lora_weights", true);
    if (alpha == Math.rint(alpha) && Math.abs(alpha) < 1e15) {
      root.put("lora_alpha", (long) alpha);
    } else {
      root.put("lora_alpha", alpha);
    }
    root.put("lora_dropout", dropout);
    if (modulesToSave.isEmpty()) {
      root.putNull("modules_to_save");
    } else {
      ArrayNode saved = root.putArray("modules_to_save");
      modulesToSave.forEach(saved::add);
    }
    root.put("peft_type", "LORA");
    root.put("r", rank);
    ArrayNode targets = root.putArray("target_modules");
    targetModules.forEach(targets::add);
    root.put("task_type", "CAUSAL_LM");
    root.put("use_dora", false);
    root.put("use_rslora", rankStabilised);
    return BoundedJson.toIndentedBytes(root);
  }
}
