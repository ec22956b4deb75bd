package io.panatron.runtime.model;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * One parameter of the trainer and the Hugging Face tensors it is made of: the loader copies each
 * part into its rows, the saver copies them out again.
 *
 * <p>The trainer names parameters as Llama's files do, whatever a family's own names are.
 * Projections that read the same input are one matmul: {@code qkv_proj} holds the rows [q; k; v],
 * {@code gate_up_proj} the rows [gate; up], or the rows of up alone in an MLP without a gate.
 *
 * @param name the trainer's name, unique in the model
 * @param parts from the first row to the last, without gaps
 * @param columns of the matrix; 0 for a vector (then a row is one element)
 * @param split what each of several tensor-parallel ranks has of it
 */
public record ParameterLayout(String name, List<Part> parts, long columns, TensorSplit split) {

  /**
   * A whole Hugging Face tensor as rows of a parameter.
   *
   * @param hfName its name in the weight files
   * @param firstRow where it starts in the parameter
   * @param rows how many it has
   * @param transposed whether the rows are the columns of the tensor
   */
  public record Part(String hfName, long firstRow, long rows, boolean transposed) {
    public Part(String hfName, long firstRow, long rows) {
      this(hfName, firstRow, rows, false);
    }
  }

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
    return columns == 0 ? new long[] {rows()} : new long[] {rows(), columns};
  }

  /** The shape of one part's Hugging Face tensor. */
  public long[] shape(Part part) {
    if (columns == 0) {
      return new long[] {part.rows};
    }
    return part.transposed ? new long[] {columns, part.rows} : new long[] {part.rows, columns};
  }

  /** Elements of the parameter. */
  public long elements() {
    return rows() * Math.max(columns, 1);
  }

  /** All parameters of a model, from the embedding to the output; tied embeddings stand once. */
  public static List<ParameterLayout> of(ModelConfig config) {
    return new ParameterLayouts(config).all();
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
    WeightNames names = config.family().weights();
    return config.tieWordEmbeddings() && config.output() instanceof HeadKind.Vocabulary
        ? Map.of("lm_head.weight", names.base() + names.embedding() + ".weight")
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
}
