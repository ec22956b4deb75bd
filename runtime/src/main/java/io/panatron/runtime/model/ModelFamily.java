package io.panatron.runtime.model;

import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * The model families the trainer knows, as data: which configuration names them, what an absent key
 * means, and where they differ from one another.
 *
 * <p>All are decoders of the same shape (pre-norm, rotary positions, grouped-query attention,
 * SwiGLU) and keep their weights under the same names; see {@link ParameterLayout}.
 *
 * <p>Source of the defaults: the configuration classes of transformers 5.18.
 */
public enum ModelFamily {
  /** Llama 2 and 3; {@code attention_bias} gives biases to q, k, v and o. */
  LLAMA(
      "LlamaForCausalLM", "llama", new Defaults(32_000, 11_008, null, null, 2_048, 1, List.of(2))),
  /** Qwen2 and 2.5; q, k and v always have biases, o never. */
  QWEN2(
      "Qwen2ForCausalLM",
      "qwen2",
      new Defaults(151_936, 22_016, 32, null, 32_768, null, List.of())),
  /** Qwen3; an RMS norm on each query and key head, {@code attention_bias} as in Llama. */
  QWEN3(
      "Qwen3ForCausalLM", "qwen3", new Defaults(151_936, 22_016, 32, 128, 32_768, null, List.of())),
  /** Mistral; Llama without biases, behind a sliding window. */
  MISTRAL(
      "MistralForCausalLM",
      "mistral",
      new Defaults(32_000, 14_336, 8, null, 131_072, 1, List.of(2)));

  /**
   * What a family's configuration class assumes where a key is absent; keys that all share (hidden
   * size 4096, 32 layers, 32 heads, eps 1e-6, untied) stand in {@link ModelConfig#read}.
   *
   * @param numKeyValueHeads null: as many as query heads
   * @param headDim null: hidden size / query heads
   */
  record Defaults(
      int vocabSize,
      int intermediateSize,
      @Nullable Integer numKeyValueHeads,
      @Nullable Integer headDim,
      int maxPositionEmbeddings,
      @Nullable Integer bosTokenId,
      List<Integer> eosTokenIds) {}

  private final String architecture;
  private final String modelType;
  private final Defaults defaults;

  ModelFamily(String architecture, String modelType, Defaults defaults) {
    this.architecture = architecture;
    this.modelType = modelType;
    this.defaults = defaults;
  }

  /** The class name in {@code architectures}. */
  public String architecture() {
    return architecture;
  }

  /** The name in {@code model_type}. */
  public String modelType() {
    return modelType;
  }

  Defaults defaults() {
    return defaults;
  }

  static @Nullable ModelFamily ofArchitecture(String architecture) {
    for (ModelFamily family : values()) {
      if (family.architecture.equals(architecture)) {
        return family;
      }
    }
    return null;
  }

  static @Nullable ModelFamily ofModelType(String modelType) {
    for (ModelFamily family : values()) {
      if (family.modelType.equals(modelType)) {
        return family;
      }
    }
    return null;
  }

  /** All architectures, for messages. */
  static String supported() {
    return Arrays.stream(values()).map(ModelFamily::architecture).collect(Collectors.joining(", "));
  }
}
