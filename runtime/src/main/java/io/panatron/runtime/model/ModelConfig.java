package io.panatron.runtime.model;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.panatron.kernels.AttentionLayout;
import io.panatron.runtime.UserError;
import io.panatron.runtime.checkpoint.SafetensorsDtype;
import io.panatron.runtime.nn.MlpActivation;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What {@code config.json} says about a decoder: sizes, biases, norms, positions. The forward pass
 * reads nothing else.
 *
 * @param family which architecture
 * @param vocabSize rows of the embedding
 * @param hiddenSize width of the residual stream
 * @param intermediateSize width of the MLP: of the up projection, and of the gate if there is one
 * @param numLayers decoder layers
 * @param numHeads query heads
 * @param numKeyValueHeads key and value heads (query groups); divides {@code numHeads}
 * @param headDim elements of one head; {@code numHeads * headDim} need not be the hidden size
 * @param maxPositionEmbeddings tokens the model was made for
 * @param normEpsilon of every norm
 * @param ropeTheta base of the rotary frequencies, where there are any
 * @param ropeScaling or null
 * @param slidingWindow which layers see only the last tokens; null where all see all
 * @param tieWordEmbeddings whether the output projection is the embedding
 * @param qkvBias whether q, k and v projections have biases
 * @param outputBias whether the attention's output projection has one
 * @param mlpBias whether the MLP's projections have biases
 * @param qkNorm whether query and key heads are normalised (weights of {@code headDim} elements)
 * @param activation what the MLP does between its projections
 * @param rotaryDim how many elements of each head are rotated, even; 0 without rotary positions
 * @param initializerRange standard deviation of random weights
 * @param dtype what the file says the weights are in; null where it says nothing
 * @param bosTokenId or null
 * @param eosTokenIds may be empty
 * @param padTokenId or null
 * @param output what stands behind the final norm
 */
public record ModelConfig(
    ModelFamily family,
    int vocabSize,
    int hiddenSize,
    int intermediateSize,
    int numLayers,
    int numHeads,
    int numKeyValueHeads,
    int headDim,
    int maxPositionEmbeddings,
    double normEpsilon,
    double ropeTheta,
    @Nullable RopeScaling ropeScaling,
    @Nullable SlidingWindow slidingWindow,
    boolean tieWordEmbeddings,
    boolean qkvBias,
    boolean outputBias,
    boolean mlpBias,
    boolean qkNorm,
    MlpActivation activation,
    int rotaryDim,
    double initializerRange,
    @Nullable SafetensorsDtype dtype,
    @Nullable Integer bosTokenId,
    List<Integer> eosTokenIds,
    @Nullable Integer padTokenId,
    HeadKind output) {
  static final String FILE_NAME = "config.json";

  /** A language model. */
  public ModelConfig(
      ModelFamily family,
      int vocabSize,
      int hiddenSize,
      int intermediateSize,
      int numLayers,
      int numHeads,
      int numKeyValueHeads,
      int headDim,
      int maxPositionEmbeddings,
      double normEpsilon,
      double ropeTheta,
      @Nullable RopeScaling ropeScaling,
      @Nullable SlidingWindow slidingWindow,
      boolean tieWordEmbeddings,
      boolean qkvBias,
      boolean outputBias,
      boolean mlpBias,
      boolean qkNorm,
      MlpActivation activation,
      int rotaryDim,
      double initializerRange,
      @Nullable SafetensorsDtype dtype,
      @Nullable Integer bosTokenId,
      List<Integer> eosTokenIds,
      @Nullable Integer padTokenId) {
    this(
        family,
        vocabSize,
        hiddenSize,
        intermediateSize,
        numLayers,
        numHeads,
        numKeyValueHeads,
        headDim,
        maxPositionEmbeddings,
        normEpsilon,
        ropeTheta,
        ropeScaling,
        slidingWindow,
        tieWordEmbeddings,
        qkvBias,
        outputBias,
        mlpBias,
        qkNorm,
        activation,
        rotaryDim,
        initializerRange,
        dtype,
        bosTokenId,
        eosTokenIds,
        padTokenId,
        HeadKind.VOCABULARY);
  }

  /**
   * Checks every size.
   *
   * @throws IllegalArgumentException naming the key of {@code config.json} that is wrong
   */
  public ModelConfig {
    ConfigKeys keys = family.keys();
    // The upper limits lie far above any model and keep every product below 2^63.
    ConfigRange.check("vocab_size", vocabSize, 1, 1 << 24);
    ConfigRange.check(keys.hiddenSize(), hiddenSize, 1, 1 << 20);
    ConfigRange.check(keys.intermediateSize(), intermediateSize, 1, 1 << 22);
    ConfigRange.check(keys.numLayers(), numLayers, 1, 10_000);
    ConfigRange.check(keys.numHeads(), numHeads, 1, 1 << 16);
    ConfigRange.check("num_key_value_heads", numKeyValueHeads, 1, 1 << 16);
    ConfigRange.check("head_dim", headDim, 2, 1 << 14);
    ConfigRange.check(keys.maxPositions(), maxPositionEmbeddings, 1, 1 << 30);
    ConfigRange.check(keys.normEpsilon(), normEpsilon, 1e-30, 1);
    ConfigRange.check("rope_theta", ropeTheta, 1, 1e30);
    ConfigRange.check("initializer_range", initializerRange, 0, 1);
    if (numHeads % numKeyValueHeads != 0) {
      throw new IllegalArgumentException(
          "%s is %d, but must be a multiple of num_key_value_heads %d"
              .formatted(keys.numHeads(), numHeads, numKeyValueHeads));
    }
    boolean rotates = family.positions() != ModelFamily.PositionKind.LEARNED;
    if (rotates && rotaryDim == headDim && headDim % 2 != 0) {
      throw new IllegalArgumentException(
          "head_dim is %d, but must be even for rotary positions".formatted(headDim));
    }
    if (rotates ? rotaryDim < 2 || rotaryDim > headDim || rotaryDim % 2 != 0 : rotaryDim != 0) {
      throw new IllegalArgumentException(
          "partial_rotary_factor rotates %d of head_dim %d elements, but must rotate an even number"
              .formatted(rotaryDim, headDim));
    }
    if (family.gated() != activation.gated()) {
      throw new IllegalArgumentException(
          "%s %s does not fit %s".formatted(keys.activation(), activation, family.architecture()));
    }
    if (slidingWindow != null && slidingWindow.layers().size() != numLayers) {
      throw new IllegalArgumentException(
          "the sliding window is told for %d layers, but num_hidden_layers is %d"
              .formatted(slidingWindow.layers().size(), numLayers));
    }
    if (ropeScaling instanceof RopeScaling.LongRope scaling
        && scaling.shortFactors().size() != rotaryDim / 2) {
      throw new IllegalArgumentException(
          "short_factor has %d numbers, but must have one for each pair of head_dim %d"
              .formatted(scaling.shortFactors().size(), rotaryDim));
    }
    eosTokenIds = List.copyOf(eosTokenIds);
  }

  /**
   * Reads a model folder's {@code config.json}, or the file itself.
   *
   * @throws UserError naming file and key where it is missing, wrong, or asks for what the trainer
   *     cannot do
   */
  public static ModelConfig read(Path folderOrFile) {
    Path file = Files.isDirectory(folderOrFile) ? folderOrFile.resolve(FILE_NAME) : folderOrFile;
    requireFile(file);
    return ModelConfigReader.read(ConfigJson.read(file));
  }

  /**
   * The configuration of a model folder.
   *
   * @throws UserError if there is none
   */
  public static Path file(Path folder) {
    Path file = folder.resolve(FILE_NAME);
    requireFile(Files.isDirectory(folder) ? file : folder);
    return file;
  }

  private static void requireFile(Path file) {
    if (!Files.exists(file)) {
      throw new UserError(
          "%s does not exist; give a Hugging Face model folder, which holds a config.json."
              .formatted(file));
    }
  }

  /**
   * As {@link #read}, from a configuration that may differ from the file.
   *
   * @param file for messages
   */
  public static ModelConfig of(Path file, ObjectNode json) {
    return ModelConfigReader.read(ConfigJson.of(file, json));
  }

  /** The same model with another number of rows of the embedding. */
  public ModelConfig withVocabSize(int rows) {
    return with(rows, output);
  }

  /**
   * The same model with a logit for each token.
   *
   * @param folder where it comes from, for messages
   * @throws UserError if it has no output head that gives them
   */
  public ModelConfig languageModel(Path folder) {
    return switch (output) {
      case HeadKind.Vocabulary head -> this;
      case HeadKind.Scores head ->
          throw new UserError(
              "%s is a sequence classifier (%s), which predicts no tokens; give a language model, or train this one with --task_type seq_cls or reranker."
                  .formatted(folder, family.classifierArchitecture()));
      case HeadKind.None head -> {
        if (!tieWordEmbeddings) {
          throw new UserError(
              "%s is a base model (%s) without an output head, which predicts no tokens; give a language model, or train this one with another --task_type."
                  .formatted(folder, family.baseArchitecture()));
        }
        yield withOutput(HeadKind.VOCABULARY);
      }
    };
  }

  /** The same model with another output head. */
  public ModelConfig withOutput(HeadKind head) {
    return with(vocabSize, head);
  }

  private ModelConfig with(int rows, HeadKind head) {
    return new ModelConfig(
        family,
        rows,
        hiddenSize,
        intermediateSize,
        numLayers,
        numHeads,
        numKeyValueHeads,
        headDim,
        maxPositionEmbeddings,
        normEpsilon,
        ropeTheta,
        ropeScaling,
        slidingWindow,
        tieWordEmbeddings,
        qkvBias,
        outputBias,
        mlpBias,
        qkNorm,
        activation,
        rotaryDim,
        initializerRange,
        dtype,
        bosTokenId,
        eosTokenIds,
        padTokenId,
        head);
  }

  /** Query heads of one key-value head. */
  public int queriesPerKeyValueHead() {
    return numHeads / numKeyValueHeads;
  }

  /** The most tokens that a token sees in a layer, itself included. */
  public int window(int layer) {
    return slidingWindow != null && slidingWindow.layers().get(layer)
        ? slidingWindow.tokens()
        : AttentionLayout.NO_WINDOW;
  }

  /** Rows of the query projection. */
  public long queryRows() {
    return (long) numHeads * headDim;
  }

  /** Rows of the key, and of the value, projection. */
  public long keyValueRows() {
    return (long) numKeyValueHeads * headDim;
  }
}
