package io.panatron.runtime.model;

import io.panatron.kernels.DType;
import io.panatron.kernels.Device;
import io.panatron.kernels.HeadGeometry;
import io.panatron.kernels.MemoryScope;
import io.panatron.runtime.autograd.Adapter;
import io.panatron.runtime.autograd.Parameter;
import io.panatron.runtime.autograd.SplitHeads;
import io.panatron.runtime.model.lora.AdapterPlan;
import io.panatron.runtime.model.lora.Tuning;
import io.panatron.runtime.nn.AttentionBlock;
import io.panatron.runtime.nn.DecoderLayer;
import io.panatron.runtime.nn.FlatLayout;
import io.panatron.runtime.nn.LayerStack;
import io.panatron.runtime.nn.LinearLayer;
import io.panatron.runtime.nn.LoraPlace;
import io.panatron.runtime.nn.MlpBlock;
import io.panatron.runtime.nn.NormLayer;
import io.panatron.runtime.nn.ParameterStore;
import io.panatron.runtime.nn.RecomputePlan;
import io.panatron.runtime.nn.TokenEmbedding;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Makes a {@link TransformerModel} from a configuration and the parameters it names. */
public final class ModelBuilder {
  private final ModelConfig config;
  private final ParameterStore store;
  private final @Nullable AdapterPlan adapters;

  private ModelBuilder(ModelConfig config, ParameterStore store, @Nullable AdapterPlan adapters) {
    this.config = config;
    this.store = store;
    this.adapters = adapters;
  }

  /** The parameters that a model needs, in the order of the weight files. */
  public static List<FlatLayout.Spec> specs(ModelConfig config) {
    return Tuning.FULL.specs(config);
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
    return build(config, store, rotary, Tuning.FULL);
  }

  /** The model, with adapters if there are any, over a store made from {@link Tuning#specs}. */
  public static TransformerModel build(
      ModelConfig config, ParameterStore store, RotaryTables rotary, Tuning tuning) {
    ModelBuilder builder = new ModelBuilder(config, store, tuning.adapters());
    List<DecoderLayer> layers = new ArrayList<>();
    for (int layer = 0; layer < config.numLayers(); layer++) {
      layers.add(builder.layer(layer));
    }
    return new TransformerModel(
        builder.embedding(),
        builder.positions(),
        layers,
        builder.norm("model.norm"),
        builder.head(),
        rotary);
  }

  /** One part of the model over the parameters of a store that holds at least those of the part. */
  public static ModelStage stage(
      ModelConfig config, ParameterStore store, RotaryTables rotary, StagePart part) {
    ModelBuilder builder = new ModelBuilder(config, store, null);
    List<DecoderLayer> layers = new ArrayList<>();
    for (int layer = 0; layer < part.layers(); layer++) {
      layers.add(builder.layer(part.firstLayer() + layer));
    }
    return new ModelStage(
        part.embedding() ? new ModelStage.Input(builder.embedding(), builder.positions()) : null,
        new LayerStack(layers, RecomputePlan.NONE),
        part.head() ? new ModelStage.Output(builder.norm("model.norm"), builder.head()) : null,
        rotary,
        store.values().dtype(),
        config.hiddenSize());
  }

  private TokenEmbedding embedding() {
    String module = "model.embed_tokens";
    return new TokenEmbedding(store.parameter(module + ".weight"), adapter(module));
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
            linear(attention + "qkv_proj", index, LoraPlace.Linear.QKV),
            headNorm,
            linear(attention + "o_proj", index, LoraPlace.Linear.ATTENTION_OUTPUT)),
        norm(prefix + "post_attention_layernorm"),
        new MlpBlock(
            linear(prefix + "mlp.gate_up_proj", index, LoraPlace.Linear.MLP_UP),
            config.activation(),
            linear(prefix + "mlp.down_proj", index, LoraPlace.Linear.MLP_DOWN)));
  }

  private NormLayer norm(String name) {
    Parameter weight = store.parameter(name + ".weight");
    return switch (config.family().norm()) {
      case RMS -> new NormLayer.Rms(weight, config.normEpsilon());
      case LAYER ->
          new NormLayer.Layer(weight, store.parameter(name + ".bias"), config.normEpsilon());
    };
  }

  private LinearLayer linear(String name, int layer, LoraPlace.Linear place) {
    String bias = name + ".bias";
    Adapter adapter = adapter(name);
    return new LinearLayer(
        store.parameter(name + ".weight"),
        store.contains(bias) ? store.parameter(bias) : null,
        adapter == null ? null : new LinearLayer.Lora(adapter, new LoraPlace(layer, place)));
  }

  private @Nullable Adapter adapter(String module) {
    return adapters == null ? null : adapters.adapter(module, store);
  }
}
