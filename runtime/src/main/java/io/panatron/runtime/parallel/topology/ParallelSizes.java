package io.panatron.runtime.parallel.topology;

import io.panatron.runtime.UserError;
import java.util.Map;

/**
 * How many ranks there are and how the work is split among them.
 *
 * <p>The dense layers use tensor x context x data x pipeline ranks, the expert layers expert tensor
 * x expert x expert data x pipeline; both products are the world. The sizes along data follow.
 * Source: Megatron-Core, parallel_state.py, {@code initialize_model_parallel}.
 *
 * @param world number of ranks
 * @param tensor ranks that share each matrix
 * @param context ranks that share each sequence
 * @param pipeline stages of the pipeline
 * @param virtualPipeline model chunks of each stage; 1 without interleaving
 * @param expert ranks that share the experts of a layer
 * @param expertTensor ranks that share each matrix of an expert
 * @param sequenceParallel whether what stands between split matrices is split along the sequence;
 *     always false where {@code tensor} is 1, since there is nothing to split
 * @param order numbering of the ranks
 */
public record ParallelSizes(
    int world,
    int tensor,
    int context,
    int pipeline,
    int virtualPipeline,
    int expert,
    int expertTensor,
    boolean sequenceParallel,
    RankOrder order) {
  /** A run of one rank. */
  public static final ParallelSizes SINGLE = ofWorld(1).build();

  public ParallelSizes {
    positive("--world_size", world);
    positive("--tensor_model_parallel_size", tensor);
    positive("--context_parallel_size", context);
    positive("--pipeline_model_parallel_size", pipeline);
    positive("--num_virtual_stages_per_pipeline_rank", virtualPipeline);
    positive("--expert_model_parallel_size", expert);
    positive("--expert_tensor_parallel_size", expertTensor);
    sequenceParallel = sequenceParallel && tensor > 1;
    divides(
        world,
        (long) tensor * context * pipeline,
        "--tensor_model_parallel_size %d x --context_parallel_size %d x --pipeline_model_parallel_size %d"
            .formatted(tensor, context, pipeline));
    divides(
        world,
        (long) expertTensor * expert * pipeline,
        "--expert_tensor_parallel_size %d x --expert_model_parallel_size %d x --pipeline_model_parallel_size %d"
            .formatted(expertTensor, expert, pipeline));
    if (virtualPipeline > 1 && pipeline == 1) {
      throw new UserError(
          "--num_virtual_stages_per_pipeline_rank is %d, but interleaving needs a --pipeline_model_parallel_size above 1; raise that or leave the virtual stages out."
              .formatted(virtualPipeline));
    }
    checkPipelines(
        order,
        denseGrid(world, tensor, context, pipeline, order),
        expertGrid(world, expert, expertTensor, pipeline, order));
  }

  private static void positive(String name, int size) {
    if (size < 1) {
      throw new UserError("%s is %d; it must be at least 1.".formatted(name, size));
    }
  }

  private static void divides(int world, long product, String factors) {
    if (world % product != 0) {
      throw new UserError(
          "%d ranks cannot be divided by %s = %d; change these sizes or start a multiple of %d ranks."
              .formatted(world, factors, product, product));
    }
  }

  /** Dense and expert layers of a stage must meet the same neighbours in the pipeline. */
  private static void checkPipelines(RankOrder order, RankGrid dense, RankGrid experts) {
    if (dense.size(ParallelAxis.PIPELINE) > 1
        && dense.stride(ParallelAxis.PIPELINE) != experts.stride(ParallelAxis.PIPELINE)) {
      throw new UserError(
          "with the order of ranks %s the pipelines of the dense layers (a stage every %d ranks) and of the expert layers (every %d) differ; let the order end in pp, or make the sizes before pp equal in both."
              .formatted(
                  order,
                  dense.stride(ParallelAxis.PIPELINE),
                  experts.stride(ParallelAxis.PIPELINE)));
    }
    if (dense.size(ParallelAxis.PIPELINE) > 1
        && order.axes().getLast() != ParallelAxis.PIPELINE
        && dense.size(ParallelAxis.DATA) != experts.size(ParallelAxis.DATA)) {
      throw new UserError(
          "the order of ranks %s does not end in pp, so the data-parallel sizes of the dense layers (%d) and of the expert layers (%d) must be equal; let the order end in pp."
              .formatted(order, dense.size(ParallelAxis.DATA), experts.size(ParallelAxis.DATA)));
    }
  }

  /** Sizes of a world, all of them 1 until set. */
  public static Builder ofWorld(int world) {
    return new Builder(world);
  }

  /** Ranks that hold equal dense parameters and see different samples. */
  public int data() {
    return world / (tensor * context * pipeline);
  }

  /** Ranks that hold equal experts. */
  public int expertData() {
    return world / (expertTensor * expert * pipeline);
  }

  /** Numbers the ranks for the dense layers. */
  public RankGrid denseGrid() {
    return denseGrid(world, tensor, context, pipeline, order);
  }

  /** Numbers the ranks for the expert layers. */
  public RankGrid expertGrid() {
    return expertGrid(world, expert, expertTensor, pipeline, order);
  }

  private static RankGrid denseGrid(
      int world, int tensor, int context, int pipeline, RankOrder order) {
    return RankGrid.of(
        order,
        Map.of(
            ParallelAxis.TENSOR, tensor,
            ParallelAxis.CONTEXT, context,
            ParallelAxis.DATA, world / (tensor * context * pipeline),
            ParallelAxis.PIPELINE, pipeline));
  }

  private static RankGrid expertGrid(
      int world, int expert, int expertTensor, int pipeline, RankOrder order) {
    return RankGrid.of(
        order,
        Map.of(
            ParallelAxis.TENSOR, expertTensor,
            ParallelAxis.EXPERT, expert,
            ParallelAxis.DATA, world / (expertTensor * expert * pipeline),
            ParallelAxis.PIPELINE, pipeline));
  }

  /** Collects sizes by name; {@link #build} checks them together. */
  public static final class Builder {
    private final int world;
    private int tensor = 1;
    private int context = 1;
    private int pipeline = 1;
    private int virtualPipeline = 1;
    private int expert = 1;
    private int expertTensor = 1;
    private boolean sequenceParallel;
    private RankOrder order = RankOrder.DEFAULT;

    private Builder(int world) {
      this.world = world;
    }

    public Builder tensor(int size) {
      tensor = size;
      return this;
    }

    public Builder context(int size) {
      context = size;
      return this;
    }

    public Builder pipeline(int size) {
      pipeline = size;
      return this;
    }

    public Builder virtualPipeline(int chunks) {
      virtualPipeline = chunks;
      return this;
    }

    public Builder expert(int size) {
      expert = size;
      return this;
    }

    public Builder expertTensor(int size) {
      expertTensor = size;
      return this;
    }

    public Builder sequenceParallel(boolean split) {
      sequenceParallel = split;
      return this;
    }

    public Builder order(RankOrder numbering) {
      order = numbering;
      return this;
    }

    /**
     * The sizes.
     *
     * @throws UserError if they do not fit each other or the world
     */
    public ParallelSizes build() {
      return new ParallelSizes(
          world,
          tensor,
          context,
          pipeline,
          virtualPipeline,
          expert,
          expertTensor,
          sequenceParallel,
          order);
    }
  }
}
