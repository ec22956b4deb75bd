package io.panatron.runtime.model;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * One parameter of the trainer and the Hugging Face tensors it is made of: the loader copies each
 * part into its rows, the saver copies them out again.
 *
 * <p>Projections that read the same input are one matmul: {@code qkv_proj} holds the rows [q; k;
 * v], {@code gate_up_proj} the rows [gate; up]. Every other parameter is one tensor of the same
 * name.
 *
 * @param name the trainer's name, unique in the model
 * @param parts from the first row to the last, without gaps
 * @param columns of the matrix; 0 for a vector (then a row is one element)
 */
public record ParameterLayout(String name, List<Part> parts, long columns) {

  /**
   * A whole Hugging Face tensor as rows of a parameter.
   *
   * @param hfName its name in the weight files
   * @param firstRow where it starts in the parameter
   * @param rows how many it has
   */
  public record Part(String hfName, long firstRow, long rows) {}

  public ParameterLayout {
    parts = List.copyOf(parts);
  }

  /** All rows. */
  public long rows() {
    Part last = parts.getLast();
    return last.firstRow + last.rows;
  }

  /** {@code [rows, columns]} of the parameter, {@code [rows]} of a vector. */
  public long[] shape() {
    return shape(rows());
  }

  /** The shape of one part's Hugging Face tensor. */
  public long[] shape(Part part) {
    return shape(part.rows);
  }

  private long[] shape(long rows) {
    return columns == 0 ? new long[] {rows} : new long[] {rows, columns};
  }

  /** Elements of the parameter. */
  public long elements() {
    return rows() * Math.max(columns, 1);
  }

  /** All parameters of a model, from the embedding to the output; tied embeddings stand once. */
  public static List<ParameterLayout> of(ModelConfig config) {
    Builder builder = new Builder(config);
    builder.matrix("model.embed_tokens", config.vocabSize(), config.hiddenSize());
    for (int layer = 0; layer < config.numLayers(); layer++) {
      builder.layer("model.layers." + layer + ".");
    }
    builder.vector("model.norm.weight", config.hiddenSize());
    if (!config.tieWordEmbeddings()) {
      builder.matrix("lm_head", config.vocabSize(), config.hiddenSize());
    }
    return List.copyOf(builder.parameters);
  }

  /** Every Hugging Face tensor a model's files must hold, with its shape. */
  public static Map<String, long[]> hfShapes(ModelConfig config) {
    Map<String, long[]> shapes = new LinkedHashMap<>();
    for (ParameterLayout parameter : of(config)) {
      for (Part part : parameter.parts) {
        shapes.put(part.hfName, parameter.shape(part));
      }
    }
    return shapes;
  }

  /** Second name to first name of tensors that a tied model's files may hold twice. */
  public static Map<String, String> tiedHfNames(ModelConfig config) {
    return config.tieWordEmbeddings()
        ? Map.of("lm_head.weight", "model.embed_tokens.weight")
        : Map.of();
  }

  /** Elements of all parameters; tied embeddings count once. */
  public static long parameterCount(ModelConfig config) {
    long count = 0;
    for (ParameterLayout parameter : of(config)) {
      count += parameter.elements();
    }
    return count;
  }

  private static final class Builder {
    private final ModelConfig config;
    private final List<ParameterLayout> parameters = new ArrayList<>();

    Builder(ModelConfig config) {
      this.config = config;
    }

    void layer(String prefix) {
      long hidden = config.hiddenSize();
      long intermediate = config.intermediateSize();
      String attention = prefix + "self_attn.";
      String mlp = prefix + "mlp.";
      vector(prefix + "input_layernorm.weight", hidden);
      Map<String, Long> qkv = new LinkedHashMap<>();
      qkv.put("q_proj", config.queryRows());
      qkv.put("k_proj", config.keyValueRows());
      qkv.put("v_proj", config.keyValueRows());
      fused(attention, "qkv_proj", qkv, hidden, config.qkvBias());
      if (config.qkNorm()) {
        vector(attention + "q_norm.weight", config.headDim());
        vector(attention + "k_norm.weight", config.headDim());
      }
      fused(attention, "o_proj", Map.of("o_proj", hidden), config.queryRows(), config.outputBias());
      vector(prefix + "post_attention_layernorm.weight", hidden);
      Map<String, Long> gateUp = new LinkedHashMap<>();
      gateUp.put("gate_proj", intermediate);
      gateUp.put("up_proj", intermediate);
      fused(mlp, "gate_up_proj", gateUp, hidden, config.mlpBias());
      fused(mlp, "down_proj", Map.of("down_proj", hidden), intermediate, config.mlpBias());
    }

    void matrix(String name, long rows, long columns) {
      fused("", name, Map.of(name, rows), columns, false);
    }

    void vector(String name, long elements) {
      parameters.add(new ParameterLayout(name, List.of(new Part(name, 0, elements)), 0));
    }

    private void fused(
        String prefix, String name, Map<String, Long> rows, long columns, boolean bias) {
      add(prefix, name, ".weight", rows, columns);
      if (bias) {
        add(prefix, name, ".bias", rows, 0);
      }
    }

    private void add(
        String prefix, String name, String suffix, Map<String, Long> rows, long columns) {
      List<Part> parts = new ArrayList<>();
      long first = 0;
      for (Map.Entry<String, Long> part : rows.entrySet()) {
        parts.add(new Part(prefix + part.getKey() + suffix, first, part.getValue()));
        first += part.getValue();
      }
      parameters.add(new ParameterLayout(prefix + name + suffix, parts, columns));
    }
  }
}
