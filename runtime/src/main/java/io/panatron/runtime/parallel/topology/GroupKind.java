package io.panatron.runtime.parallel.topology;

import static io.panatron.runtime.parallel.topology.ParallelAxis.CONTEXT;
import static io.panatron.runtime.parallel.topology.ParallelAxis.DATA;
import static io.panatron.runtime.parallel.topology.ParallelAxis.EXPERT;
import static io.panatron.runtime.parallel.topology.ParallelAxis.PIPELINE;
import static io.panatron.runtime.parallel.topology.ParallelAxis.TENSOR;

import java.util.Arrays;
import java.util.EnumSet;
import java.util.Set;
import java.util.stream.Collectors;

/** The sets of groups that ranks communicate in, and what they do there. */
public enum GroupKind {
  TENSOR_PARALLEL("tp", "activations of split matrices", TENSOR),
  CONTEXT_PARALLEL("cp", "keys and values of other parts of the sequence", CONTEXT),
  DATA_PARALLEL("dp", "gradients of equal parameters", DATA),
  DATA_CONTEXT_PARALLEL("dp-cp", "gradients, parts of the sequence included", DATA, CONTEXT),
  PIPELINE_PARALLEL("pp", "activations between stages", PIPELINE),
  MODEL_PARALLEL("tp-pp", "gradient norm over one copy of the model", TENSOR, PIPELINE),
  TENSOR_DATA_PARALLEL("tp-dp", "amax of 8-bit floats", TENSOR, DATA),
  TENSOR_DATA_CONTEXT_PARALLEL(
      "tp-dp-cp", "amax of 8-bit floats, expert counts", TENSOR, DATA, CONTEXT),
  TENSOR_CONTEXT_PARALLEL("tp-cp", "tokens of one sequence, for the router", TENSOR, CONTEXT),
  EMBEDDING("embd", "gradients of tied embeddings", PIPELINE),
  POSITION_EMBEDDING("pos-embd", "gradients of position embeddings", PIPELINE),
  EXPERT_PARALLEL("ep", "tokens on their way to experts", true, EXPERT),
  EXPERT_TENSOR_PARALLEL("etp", "activations of split experts", true, TENSOR),
  EXPERT_TENSOR_EXPERT_PARALLEL("etp-ep", "tokens of all experts of a layer", true, TENSOR, EXPERT),
  EXPERT_MODEL_PARALLEL(
      "etp-ep-pp", "gradient norm of the experts", true, TENSOR, EXPERT, PIPELINE),
  EXPERT_DATA_PARALLEL("edp", "gradients of equal experts", true, DATA);

  private final String label;
  private final String use;
  private final boolean expert;
  private final Set<ParallelAxis> axes;

  GroupKind(String label, String use, ParallelAxis... axes) {
    this(label, use, false, axes);
  }

  GroupKind(String label, String use, boolean expert, ParallelAxis... axes) {
    this.label = label;
    this.use = use;
    this.expert = expert;
    this.axes = EnumSet.copyOf(Arrays.asList(axes));
  }

  /** Its short name, such as {@code dp-cp}. */
  public String label() {
    return label;
  }

  /** What its members exchange. */
  public String use() {
    return use;
  }

  /** Whether its ranks are numbered by the sizes of the expert layers. */
  public boolean expert() {
    return expert;
  }

  /** Whether only the stages at the ends of a pipeline belong to a group. */
  public boolean endsOfPipeline() {
    return this == EMBEDDING || this == POSITION_EMBEDDING;
  }

  /** The dimensions in which members of a group differ. */
  public Set<ParallelAxis> axes() {
    return Set.copyOf(axes);
  }

  /** All short names, joined by commas. */
  public static String labels() {
    return Arrays.stream(values()).map(GroupKind::label).collect(Collectors.joining(", "));
  }
}
