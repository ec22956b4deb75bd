package io.panatron.runtime.model;

import io.panatron.kernels.DType;
import io.panatron.kernels.Device;
import io.panatron.kernels.HeadGeometry;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Shape;
import io.panatron.runtime.autograd.Parameter;
import io.panatron.runtime.autograd.SplitHeads;
import io.panatron.runtime.nn.AttentionBlock;
import io.panatron.runtime.nn.DecoderLayer;
import io.panatron.runtime.nn.FlatLayout;
import io.panatron.runtime.nn.LayerStack;
import io.panatron.runtime.nn.LinearLayer;
import io.panatron.runtime.nn.MlpBlock;
import io.panatron.runtime.nn.NormLayer;
import io.panatron.runtime.nn.ParameterStore;
import io.panatron.runtime.nn.RecomputePlan;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Makes a {@link TransformerModel} from a configuration and the parameters it names. */
public final class ModelBuilder {
  private final ModelConfig config;
  private final ParameterStore store;

  private ModelBuilder(ModelConfig config, ParameterStore store) {
    this.config = config;
    this.store = store;
  }

  /** The parameters that a model needs, in the order of the weight files. */
  public static List<FlatLayout.Spec> specs(ModelConfig config) {
    return ParameterLayout.of(config).stream()
        .map(layout -> new FlatLayout.Spec(layout.name(), Shape.of(layout.shape())))
        .toList();
  }

  /** The parameters of one part of a model, in the same order. */
  public static List<FlatLayout.Spec> specs(ModelConfig config, StagePart part) {
    return specs(config).stream().filter(spec -> part.holds(spec.name(), config)).toList();
  }

  public static HeadGeometry geometry(ModelConfig config) {
    return new HeadGeometry(config.numHeads(), config.numKeyValueHeads(), config.headDim());
  }

  /** The model over the parameters of a store made from {@link #specs}. */
  public static TransformerModel build(
      ModelConfig config, ParameterStore store, RotaryTables rotary) {
    ModelBuilder builder = new ModelBuilder(config, store);
    Parameter embedding = store.parameter("model.embed_tokens.weight");
    List<DecoderLayer> layers = new ArrayList<>();
    for (int layer = 0; layer < config.numLayers(); layer++) {
      layers.add(builder.layer(layer));
    }
    return new TransformerModel(
        embedding, builder.positions(), layers, builder.norm("model.norm"), builder.head(), rotary);
  }

  /** One part of the model over the parameters of a store that holds at least those of the part. */
  public static ModelStage stage(
      ModelConfig config, ParameterStore store, RotaryTables rotary, StagePart part) {
    ModelBuilder builder = new ModelBuilder(config, store);
    List<DecoderLayer> layers = new ArrayList<>();
    for (int layer = 0; layer < part.layers(); layer++) {
      layers.add(builder.layer(part.firstLayer() + layer));
    }
    return new ModelStage(
        part.embedding()
            ? new ModelStage.Input(
                store.parameter("model.embed_tokens.weight"), builder.positions())
            : null,
        new LayerStack(layers, RecomputePlan.NONE),
        part.head() ? new ModelStage.Output(builder.norm("model.norm"), builder.head()) : null,
        rotary,
        store.values().dtype(),
        config.hiddenSize());
  }

  private @Nullable Parameter positions() {
    return config.family().positions() == ModelFamily.PositionKind.LEARNED
        ? store.parameter("model.embed_positions.weight")
        : null;
  }

  private Parameter head() {
    return store.parameter(
        config.tieWordEmbeddings() ? "model.embed_tokens.weight" : "lm_head.weight");
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
            geometry(config),
            linear(attention + "qkv_proj"),
            headNorm,
            linear(attention + "o_proj")),
        norm(prefix + "post_attention_layernorm"),
        new MlpBlock(
            linear(prefix + "mlp.gate_up_proj"),
            config.activation(),
            linear(prefix + "mlp.down_proj")));
  }

  private NormLayer norm(String name) {
    Parameter weight = store.parameter(name + ".weight");
    return switch (config.family().norm()) {
      case RMS -> new NormLayer.Rms(weight, config.normEpsilon());
      case LAYER ->
          new NormLayer.Layer(weight, store.parameter(name + ".bias"), config.normEpsilon());
    };
  }

  private LinearLayer linear(String name) {
    String bias = name + ".bias";
    return new LinearLayer(
        store.parameter(name + ".weight"), store.contains(bias) ? store.parameter(bias) : null);
  }
}
