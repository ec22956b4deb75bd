package io.panatron.runtime.model;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.panatron.runtime.UserError;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * The model families the trainer knows, as data: which configuration names them, what an absent key
 * means, and where they differ from one another.
 *
 * <p>All are pre-norm decoders with grouped-query attention, made of the same layers; see {@link
 * ModelBuilder} and {@link ParameterLayout}.
 *
 * <p>Source of the defaults: the configuration classes of transformers 5.18.
 */
public enum ModelFamily {
  /** Llama 2 and 3; {@code attention_bias} gives biases to q, k, v and o. */
  LLAMA(
      "LlamaForCausalLM",
      "llama",
      Traits.LLAMA,
      Defaults.of(32_000, 11_008, null, null, 2_048, 1, List.of(2))),
  /** Qwen2 and 2.5; q, k and v always have biases, o never. */
  QWEN2(
      "Qwen2ForCausalLM",
      "qwen2",
      Traits.LLAMA,
      Defaults.of(151_936, 22_016, 32, null, 32_768, null, List.of())),
  /** Qwen3; an RMS norm on each query and key head, {@code attention_bias} as in Llama. */
  QWEN3(
      "Qwen3ForCausalLM",
      "qwen3",
      Traits.LLAMA,
      Defaults.of(151_936, 22_016, 32, 128, 32_768, null, List.of())),
  /** Mistral; Llama without biases, behind a sliding window. */
  MISTRAL(
      "MistralForCausalLM",
      "mistral",
      Traits.LLAMA,
      Defaults.of(32_000, 14_336, 8, null, 131_072, 1, List.of(2))),
  /** GLM-4-9B and the like; half of each head is rotated, in neighbouring pairs. */
  GLM(
      "GlmForCausalLM",
      "glm",
      new Traits(
          ConfigKeys.COMMON, WeightNames.GLM, NormKind.RMS, true, PositionKind.INTERLEAVED_ROTARY),
      new Defaults(
          151_552,
          4_096,
          13_696,
          40,
          32,
          2,
          128,
          131_072,
          1.5625e-7,
          10_000,
          0.5,
          false,
          null,
          List.of(151_329, 151_336, 151_338),
          151_329)),
  /** ERNIE 4.5 without experts; heads are rotated in neighbouring pairs. */
  ERNIE4_5(
      "Ernie4_5ForCausalLM",
      "ernie4_5",
      new Traits(
          ConfigKeys.COMMON,
          WeightNames.LLAMA,
          NormKind.RMS,
          true,
          PositionKind.INTERLEAVED_ROTARY),
      new Defaults(
          103_424,
          1_024,
          3_072,
          18,
          16,
          2,
          128,
          131_072,
          1e-5,
          500_000,
          1,
          true,
          1,
          List.of(2),
          0)),
  /** Phi-3, 3.5 and 4; q, k and v in one matrix as gate and up are, heads rotated in part. */
  PHI3(
      "Phi3ForCausalLM",
      "phi3",
      new Traits(ConfigKeys.COMMON, WeightNames.PHI3, NormKind.RMS, true, PositionKind.ROTARY),
      new Defaults(
          32_064,
          3_072,
          8_192,
          32,
          32,
          null,
          null,
          4_096,
          1e-5,
          10_000,
          1,
          false,
          1,
          List.of(32_000),
          32_000)),
  /** StarCoder2; layer norms, biases everywhere, an MLP without a gate. */
  STARCODER2(
      "Starcoder2ForCausalLM",
      "starcoder2",
      new Traits(
          ConfigKeys.STARCODER2,
          WeightNames.STARCODER2,
          NormKind.LAYER,
          false,
          PositionKind.ROTARY),
      new Defaults(
          49_152,
          3_072,
          12_288,
          30,
          24,
          2,
          null,
          4_096,
          1e-5,
          10_000,
          1,
          true,
          50_256,
          List.of(50_256),
          null)),
  /** GPT-2; learned positions, layer norms, biases everywhere, an MLP without a gate. */
  GPT2(
      "GPT2LMHeadModel",
      "gpt2",
      new Traits(ConfigKeys.GPT2, WeightNames.GPT2, NormKind.LAYER, false, PositionKind.LEARNED),
      new Defaults(
          50_257,
          768,
          null,
          12,
          12,
          null,
          null,
          1_024,
          1e-5,
          10_000,
          1,
          true,
          50_256,
          List.of(50_256),
          null));

  /** The norm before attention, before the MLP and at the end. */
  public enum NormKind {
    RMS,
    LAYER
  }

  /** How a model knows where its tokens stand. */
  public enum PositionKind {
    /** Pairs of elements half of the rotated part apart. */
    ROTARY,
    /** Pairs of neighbouring elements. */
    INTERLEAVED_ROTARY,
    /** A vector for each position, added to the embedding. */
    LEARNED
  }

  /**
   * What all models of a family share.
   *
   * @param gated whether the MLP has a gate
   */
  record Traits(
      ConfigKeys keys, WeightNames weights, NormKind norm, boolean gated, PositionKind positions) {
    static final Traits LLAMA =
        new Traits(ConfigKeys.COMMON, WeightNames.LLAMA, NormKind.RMS, true, PositionKind.ROTARY);
  }

  /**
   * What a family's configuration class assumes where a key is absent.
   *
   * @param intermediateSize null: 4 times the hidden size
   * @param numKeyValueHeads null: as many as query heads
   * @param headDim null: hidden size / query heads
   * @param partialRotaryFactor the share of each head that is rotated
   */
  record Defaults(
      int vocabSize,
      int hiddenSize,
      @Nullable Integer intermediateSize,
      int numLayers,
      int numHeads,
      @Nullable Integer numKeyValueHeads,
      @Nullable Integer headDim,
      int maxPositionEmbeddings,
      double normEpsilon,
      double ropeTheta,
      double partialRotaryFactor,
      boolean tied,
      @Nullable Integer bosTokenId,
      List<Integer> eosTokenIds,
      @Nullable Integer padTokenId) {

    /** With what Llama, Qwen and Mistral have in common. */
    static Defaults of(
        int vocabSize,
        int intermediateSize,
        @Nullable Integer numKeyValueHeads,
        @Nullable Integer headDim,
        int maxPositionEmbeddings,
        @Nullable Integer bosTokenId,
        List<Integer> eosTokenIds) {
      return new Defaults(
          vocabSize,
          4_096,
          intermediateSize,
          32,
          32,
          numKeyValueHeads,
          headDim,
          maxPositionEmbeddings,
          1e-6,
          10_000,
          1,
          false,
          bosTokenId,
          eosTokenIds,
          null);
    }
  }

  private final String architecture;
  private final String modelType;
  private final Traits traits;
  private final Defaults defaults;

  ModelFamily(String architecture, String modelType, Traits traits, Defaults defaults) {
    this.architecture = architecture;
    this.modelType = modelType;
    this.traits = traits;
    this.defaults = defaults;
  }

  /** The class name in {@code architectures}. */
  public String architecture() {
    return architecture;
  }

  /** The class name of the same model as a sequence classifier. */
  public String classifierArchitecture() {
    return stem() + "ForSequenceClassification";
  }

  /** The class name of the same model without an output head. */
  public String baseArchitecture() {
    return stem() + "Model";
  }

  private String stem() {
    return architecture.replaceFirst("(ForCausalLM|LMHeadModel)$", "");
  }

  /** The name in {@code model_type}. */
  public String modelType() {
    return modelType;
  }

  public NormKind norm() {
    return traits.norm;
  }

  public PositionKind positions() {
    return traits.positions;
  }

  /** Whether the MLP is {@code down(silu(gate x) * up x)}. */
  public boolean gated() {
    return traits.gated;
  }

  /** Whether {@code partial_rotary_factor} counts. */
  public boolean rotatesInPart() {
    return this == GLM || this == PHI3;
  }

  ConfigKeys keys() {
    return traits.keys;
  }

  WeightNames weights() {
    return traits.weights;
  }

  Defaults defaults() {
    return defaults;
  }

  /**
   * The family of a configuration.
   *
   * @param file for messages
   * @throws UserError if it names none that the trainer knows
   */
  public static ModelFamily of(Path file, ObjectNode config) {
    return ModelConfigReader.family(ConfigJson.of(file, config));
  }

  static @Nullable ModelFamily ofArchitecture(String architecture) {
    for (ModelFamily family : values()) {
      if (family.architecture.equals(architecture)
          || family.classifierArchitecture().equals(architecture)
          || family.baseArchitecture().equals(architecture)) {
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
