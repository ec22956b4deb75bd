package io.panatron.runtime.model;

import com.fasterxml.jackson.databind.JsonNode;
import io.panatron.kernels.Activation;
import io.panatron.runtime.UserError;
import io.panatron.runtime.checkpoint.SafetensorsDtype;
import io.panatron.runtime.nn.MlpActivation;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Turns {@code config.json} into a {@link ModelConfig}; an absent key means what the family's
 * configuration class in transformers makes of it.
 */
final class ModelConfigReader {
  private final ConfigJson json;
  private final ModelFamily family;
  private final ConfigKeys keys;

  private ModelConfigReader(ConfigJson json, ModelFamily family) {
    this.json = json;
    this.family = family;
    this.keys = family.keys();
  }

  static ModelConfig read(ConfigJson json) {
    ModelConfigReader reader = new ModelConfigReader(json, family(json));
    try {
      return reader.read();
    } catch (IllegalArgumentException e) {
      throw json.error(String.valueOf(e.getMessage()), e);
    }
  }

  /** {@code model_type} decides, as in transformers; {@code architectures} must agree. */
  static ModelFamily family(ConfigJson json) {
    String modelType = json.text("model_type");
    JsonNode architectures = json.get("architectures");
    String architecture = null;
    if (architectures != null) {
      if (!architectures.isArray()
          || architectures.size() != 1
          || !architectures.get(0).isTextual()) {
        throw json.wrong("architectures", "must be a list of one class name");
      }
      architecture = architectures.get(0).textValue();
    }
    if (modelType == null && architecture == null) {
      throw json.error(
          "names neither model_type nor architectures; supported are " + ModelFamily.supported());
    }
    ModelFamily family =
        modelType == null
            ? ModelFamily.ofArchitecture(String.valueOf(architecture))
            : ModelFamily.ofModelType(modelType);
    if (family == null
        || (architecture != null && family != ModelFamily.ofArchitecture(architecture))) {
      throw json.error(
          "names the model %s, which is not supported; supported are %s"
              .formatted(architecture == null ? modelType : architecture, ModelFamily.supported()));
    }
    return family;
  }

  private ModelConfig read() {
    refuseUnsupported();
    ModelFamily.Defaults defaults = family.defaults();
    int hiddenSize = json.integer(keys.hiddenSize(), defaults.hiddenSize());
    int numHeads = json.integer(keys.numHeads(), defaults.numHeads());
    ConfigRange.check(keys.numHeads(), numHeads, 1, 1 << 16);
    int numLayers = json.integer(keys.numLayers(), defaults.numLayers());
    int maxPositions = json.integer(keys.maxPositions(), defaults.maxPositionEmbeddings());
    boolean rotates = family.positions() != ModelFamily.PositionKind.LEARNED;
    RopeParameters rope =
        rotates ? RopeParameters.read(json, family, maxPositions) : RopeParameters.NONE;
    int headDim = headDim(hiddenSize, numHeads);
    Biases biases = biases();
    return new ModelConfig(
        family,
        json.integer("vocab_size", defaults.vocabSize()),
        hiddenSize,
        intermediateSize(hiddenSize),
        numLayers,
        numHeads,
        keyValueHeads(numHeads),
        headDim,
        maxPositions,
        json.real(keys.normEpsilon(), defaults.normEpsilon()),
        rope.theta(),
        rope.scaling(),
        SlidingWindow.read(json, family, numLayers),
        json.flag("tie_word_embeddings", defaults.tied()),
        biases.qkv,
        biases.output,
        biases.mlp,
        family == ModelFamily.QWEN3,
        activation(),
        rotates ? (int) (headDim * rope.partialFactor()) : 0,
        json.real("initializer_range", family == ModelFamily.STARCODER2 ? 0.018042 : 0.02),
        dtype(),
        tokenId("bos_token_id", defaults.bosTokenId()),
        eosTokenIds(defaults.eosTokenIds()),
        tokenId("pad_token_id", defaults.padTokenId()),
        output());
  }

  private HeadKind output() {
    JsonNode architectures = json.get("architectures");
    if (architectures == null) {
      return HeadKind.VOCABULARY;
    }
    String architecture = architectures.get(0).textValue();
    if (architecture.equals(family.baseArchitecture())) {
      return HeadKind.NONE;
    }
    if (!architecture.equals(family.classifierArchitecture())) {
      return HeadKind.VOCABULARY;
    }
    // As transformers: the labels' names count before their number, and there are 2 by default.
    JsonNode names = json.get("id2label");
    return new HeadKind.Scores(
        names != null && names.isObject() ? names.size() : json.integer("num_labels", 2));
  }

  /** Which projections have biases. */
  private record Biases(boolean qkv, boolean output, boolean mlp) {}

  private Biases biases() {
    return switch (family) {
      case LLAMA -> {
        boolean attention = json.flag("attention_bias", false);
        yield new Biases(attention, attention, json.flag("mlp_bias", false));
      }
      case QWEN2 -> new Biases(true, false, false);
      case QWEN3 -> {
        boolean attention = json.flag("attention_bias", false);
        yield new Biases(attention, attention, false);
      }
      case MISTRAL, PHI3 -> new Biases(false, false, false);
      case GLM -> new Biases(json.flag("attention_bias", true), false, false);
      case ERNIE4_5 -> {
        boolean all = json.flag("use_bias", false);
        yield new Biases(all, all, all);
      }
      case STARCODER2 -> {
        boolean all = json.flag("use_bias", true);
        yield new Biases(all, all, all);
      }
      case GPT2 -> new Biases(true, true, true);
    };
  }

  private int intermediateSize(int hiddenSize) {
    Integer absent = family.defaults().intermediateSize();
    String key = keys.intermediateSize();
    if (absent == null) {
      return json.get(key) == null ? Math.multiplyExact(4, hiddenSize) : json.integer(key, 0);
    }
    return json.integer(key, absent);
  }

  private MlpActivation activation() {
    String name = json.text(keys.activation());
    if (family.gated()) {
      if (name != null && !name.equals("silu") && !name.equals("swish")) {
        throw json.error(
            "asks for %s %s, which is not supported; only silu is"
                .formatted(keys.activation(), name));
      }
      return new MlpActivation.Gated();
    }
    // Both families without a gate assume the approximation by tanh.
    Activation function = name == null ? Activation.GELU_TANH : ActivationNames.of(name);
    if (function == null) {
      throw json.error(
          "asks for %s %s, which is not supported; supported are %s"
              .formatted(keys.activation(), name, ActivationNames.SUPPORTED));
    }
    return new MlpActivation.Plain(function);
  }

  private int keyValueHeads(int numHeads) {
    if (family == ModelFamily.GPT2) {
      return numHeads;
    }
    String key = "num_key_value_heads";
    Integer absent = family.defaults().numKeyValueHeads();
    if (json.isNull(key) || (!json.has(key) && absent == null)) {
      return numHeads;
    }
    int heads = json.integer(key, absent == null ? numHeads : absent);
    if (!json.has(key) && (heads > numHeads || numHeads % heads != 0)) {
      throw json.error(
          "has no num_key_value_heads, which then is %d for %s, and num_attention_heads %d is no "
                  .formatted(heads, family.architecture(), numHeads)
              + "multiple of that; add the key");
    }
    return heads;
  }

  private int headDim(int hiddenSize, int numHeads) {
    Integer absent = family.defaults().headDim();
    boolean derived =
        family == ModelFamily.GPT2
            || (absent == null && (!json.has("head_dim") || json.isNull("head_dim")))
            || (family == ModelFamily.ERNIE4_5 && json.isNull("head_dim"));
    // Llama's configuration class asks for this even where it gives a head_dim.
    if ((derived || family == ModelFamily.LLAMA) && hiddenSize % numHeads != 0) {
      throw json.error(
          "%s is %d, but must be a multiple of %s %d"
              .formatted(keys.hiddenSize(), hiddenSize, keys.numHeads(), numHeads));
    }
    return derived ? hiddenSize / numHeads : json.integer("head_dim", absent == null ? 0 : absent);
  }

  private void refuseUnsupported() {
    if (family == ModelFamily.GPT2) {
      refuse("add_cross_attention", false);
      refuse("scale_attn_by_inverse_layer_idx", false);
      refuse("scale_attn_weights", true);
    }
    for (String key : List.of("quantization_config", "per_layer_config")) {
      JsonNode value = json.get(key);
      if (value != null && !value.isEmpty()) {
        throw json.error("has a %s, which is not supported; give a plain model".formatted(key));
      }
    }
  }

  private void refuse(String key, boolean supported) {
    if (json.flag(key, supported) != supported) {
      throw json.error(
          "asks for %s %s, which is not supported; only %s is"
              .formatted(key, !supported, supported));
    }
  }

  private @Nullable SafetensorsDtype dtype() {
    String key = json.text("dtype") != null ? "dtype" : "torch_dtype";
    String name = json.text(key);
    if (name == null) {
      return null;
    }
    SafetensorsDtype dtype = SafetensorsDtype.ofTorchName(name);
    if (dtype == null) {
      throw unsupportedDtype(key, name);
    }
    return switch (dtype) {
      case F64, F32, F16, BF16 -> dtype;
      default -> throw unsupportedDtype(key, name);
    };
  }

  private UserError unsupportedDtype(String key, String name) {
    return json.error(
        "asks for %s %s, which is not supported; supported are float32, bfloat16, float16"
            .formatted(key, name));
  }

  private @Nullable Integer tokenId(String key, @Nullable Integer absent) {
    if (!json.has(key)) {
      return absent;
    }
    if (json.isNull(key)) {
      return null;
    }
    int id = json.integer(key, 0);
    // Llama 1's configurations say -1 for "none".
    return id == -1 ? null : checkedTokenId(key, id);
  }

  private List<Integer> eosTokenIds(List<Integer> absent) {
    String key = "eos_token_id";
    JsonNode value = json.get(key);
    if (value == null) {
      return json.has(key) ? List.of() : absent;
    }
    if (!value.isArray()) {
      return List.of(checkedTokenId(key, json.integer(key, 0)));
    }
    List<Integer> ids = new ArrayList<>();
    for (JsonNode id : value) {
      if (!id.isInt()) {
        throw json.wrong(key, "must be an integer or a list of integers");
      }
      ids.add(checkedTokenId(key, id.intValue()));
    }
    return ids;
  }

  private static int checkedTokenId(String key, int id) {
    ConfigRange.check(key, id, 0, 1 << 24);
    return id;
  }
}
