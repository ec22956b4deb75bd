package io.panatron.runtime.model;

import io.panatron.kernels.DType;
import io.panatron.kernels.Device;
import io.panatron.kernels.HeadGeometry;
import io.panatron.kernels.MemoryScope;
import io.panatron.runtime.UserError;
import io.panatron.runtime.autograd.Parameter;
import io.panatron.runtime.autograd.SplitHeads;
import io.panatron.runtime.nn.AttentionBlock;
import io.panatron.runtime.nn.DecoderLayer;
import io.panatron.runtime.nn.FlatLayout;
import io.panatron.runtime.nn.LayerStack;
import io.panatron.runtime.nn.LinearLayer;
import io.panatron.runtime.nn.MlpBlock;
import io.panatron.runtime.nn.NormLayer;
import io.panatron.runtime.nn.OutputHead;
import io.panatron.runtime.nn.ParameterStore;
import io.panatron.runtime.nn.RecomputePlan;
import io.panatron.runtime.nn.TensorParallel;
import io.panatron.runtime.nn.TokenEmbedding;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Makes a {@link TransformerModel} from a configuration and the parameters it names. */
public final class ModelBuilder {
  private final ModelConfig config;
  private final ParameterStore store;
  private final TensorParallel parallel;

  private ModelBuilder(ModelConfig config, ParameterStore store, TensorParallel parallel) {
    this.config = config;
    this.store = store;
    this.parallel = parallel;
  }

  /** The parameters that a model needs, in the order of the weight files. */
  public static List<FlatLayout.Spec> specs(ModelConfig config) {
    return specs(config, TensorParallel.NONE);
  }

  /** As above, of one rank among those that share the model's matrices. */
  public static List<FlatLayout.Spec> specs(ModelConfig config, TensorParallel parallel) {
    return ParameterShard.of(config, parallel).stream().map(ParameterShard::spec).toList();
  }

  /** The parameters of some parts of a model, in the same order. */
  public static List<FlatLayout.Spec> specs(ModelConfig config, List<StagePart> parts) {
    return specs(config, parts, TensorParallel.NONE);
  }

  /** As above, of one rank among those that share the parts' matrices. */
  public static List<FlatLayout.Spec> specs(
      ModelConfig config, List<StagePart> parts, TensorParallel parallel) {
    return specs(config, parallel).stream()
        .filter(spec -> parts.stream().anyMatch(part -> part.holds(spec.name(), config)))
        .toList();
  }

  public static HeadGeometry geometry(ModelConfig config) {
    return geometry(config, TensorParallel.NONE);
  }

  /** The heads of one rank among those that share them. */
  public static HeadGeometry geometry(ModelConfig config, TensorParallel parallel) {
    return new HeadGeometry(
        config.numHeads() / parallel.size(),
        config.numKeyValueHeads() / parallel.size(),
        config.headDim());
  }

  /**
   * That so many ranks can share a model's matrices, as Megatron-Core demands it.
   *
   * @throws UserError naming what they cannot share
   */
  public static void requireShares(ModelConfig config, int ranks) {
    requireShares("query heads (num_attention_heads)", config.numHeads(), ranks);
    requireShares("key-value heads (num_query_groups)", config.numKeyValueHeads(), ranks);
    requireShares("MLP columns (ffn_hidden_size)", config.intermediateSize(), ranks);
    if (config.vocabSize() < ranks) {
      throw cannotShare(config.vocabSize() + " rows of the vocabulary", ranks);
    }
  }

  private static void requireShares(String what, int count, int ranks) {
    if (count % ranks != 0) {
      throw cannotShare(count + " " + what, ranks);
    }
  }

  private static UserError cannotShare(String what, int ranks) {
    return new UserError(
        "--tensor_model_parallel_size %d cannot share the model's %s equally; choose a size that divides them."
            .formatted(ranks, what));
  }

  /** The model over the parameters of a store made from {@link #specs}. */
  public static TransformerModel build(
      ModelConfig config, ParameterStore store, RotaryTables rotary) {
    return build(config, store, rotary, TensorParallel.NONE);
  }

  /** As above, of one rank among those that share the model's matrices. */
  public static TransformerModel build(
      ModelConfig config, ParameterStore store, RotaryTables rotary, TensorParallel parallel) {
    ModelBuilder builder = new ModelBuilder(config, store, parallel);
    List<DecoderLayer> layers = new ArrayList<>();
    for (int layer = 0; layer < config.numLayers(); layer++) {
      layers.add(builder.layer(layer));
    }
    return new TransformerModel(
        builder.embedding(),
        new LayerStack(layers, RecomputePlan.NONE),
        builder.norm("model.norm"),
        builder.head(),
        rotary,
        parallel);
  }

  /** One part of the model over the parameters of a store that holds at least those of the part. */
  public static ModelStage stage(
      ModelConfig config, ParameterStore store, RotaryTables rotary, StagePart part) {
    return stage(config, store, rotary, part, TensorParallel.NONE);
  }

  /** As above, of one rank among those that share the part's matrices. */
  public static ModelStage stage(
      ModelConfig config,
      ParameterStore store,
      RotaryTables rotary,
      StagePart part,
      TensorParallel parallel) {
    ModelBuilder builder = new ModelBuilder(config, store, parallel);
    List<DecoderLayer> layers = new ArrayList<>();
    for (int layer = 0; layer < part.layers(); layer++) {
      layers.add(builder.layer(part.firstLayer() + layer));
    }
    return new ModelStage(
        part.embedding() ? builder.embedding() : null,
        new LayerStack(layers, RecomputePlan.NONE),
        part.head()
            ? new ModelStage.Output(builder.norm("model.norm"), builder.vocabularyHead())
            : null,
        rotary,
        store.values().dtype(),
        config.hiddenSize(),
        parallel);
  }

  private TokenEmbedding embedding() {
    return new TokenEmbedding(
        store.parameter("model.embed_tokens.weight"),
        config.family().positions() == ModelFamily.PositionKind.LEARNED
            ? store.parameter("model.embed_positions.weight")
            : null,
        config.vocabSize(),
        parallel);
  }

  private @Nullable OutputHead head() {
    return switch (config.output()) {
      case HeadKind.Vocabulary kind -> vocabularyHead();
      case HeadKind.Scores(int labels) ->
          new OutputHead(store.parameter("score.weight"), labels, TensorParallel.NONE);
      case HeadKind.None kind -> null;
    };
  }

  private OutputHead vocabularyHead() {
    String name = config.tieWordEmbeddings() ? "model.embed_tokens.weight" : "lm_head.weight";
    return new OutputHead(store.parameter(name), config.vocabSize(), parallel);
  }

  /**
   * The rotary angles of sequences of up to {@code positions} tokens, or as many as a model with
   * learned positions knows.
   *
   * @param dtype F64 or F32
   */
  public static RotaryTables rotary(
      Device device, MemoryScope run, ModelConfig config, int positions, DType dtype) {
    boolean learned = config.family().positions() == ModelFamily.PositionKind.LEARNED;
    int known = learned ? Math.min(positions, config.maxPositionEmbeddings()) : positions;
    return RotaryTables.of(device, run, config, known, dtype);
  }

  private DecoderLayer layer(int index) {
    String prefix = "model.layers." + index + ".";
    String attention = prefix + "self_attn.";
    SplitHeads.Norm headNorm =
        config.qkNorm()
            ? new SplitHeads.Norm(
                store.parameter(attention + "q_norm.weight"),
                store.parameter(attention + "k_norm.weight"),
                config.normEpsilon())
            : null;
    return new DecoderLayer(
        norm(prefix + "input_layernorm"),
        new AttentionBlock(
            index,
            config.window(index),
            geometry(config, parallel),
            linear(attention + "qkv_proj"),
            headNorm,
            outOfShares(attention + "o_proj"),
            parallel),
        norm(prefix + "post_attention_layernorm"),
        new MlpBlock(
            linear(prefix + "mlp.gate_up_proj"),
            config.activation(),
            outOfShares(prefix + "mlp.down_proj"),
            parallel));
  }

  private NormLayer norm(String name) {
    Parameter weight = store.parameter(name + ".weight");
    return switch (config.family().norm()) {
      case RMS -> new NormLayer.Rms(weight, config.normEpsilon());
      case LAYER ->
          new NormLayer.Layer(weight, store.parameter(name + ".bias"), config.normEpsilon());
    };
  }

  /** A projection whose outputs the ranks sum: the bias is added once. */
  private LinearLayer outOfShares(String name) {
    LinearLayer whole = linear(name);
    return parallel.rank() == 0 ? whole : new LinearLayer(whole.weight(), null);
  }

  private LinearLayer linear(String name) {
    String bias = name + ".bias";
    return new LinearLayer(
        store.parameter(name + ".weight"), store.contains(bias) ? store.parameter(bias) : null);
  }
}
