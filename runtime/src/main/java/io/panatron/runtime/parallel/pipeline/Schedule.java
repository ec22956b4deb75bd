package io.panatron.runtime.parallel.pipeline;

import io.panatron.runtime.UserError;
import org.jspecify.annotations.Nullable;

/**
 * The order in which the ranks of a pipeline compute and communicate during one step.
 *
 * <p>One stage: forward and backward of each micro-batch in turn. Several stages: 1F1B, in which
 * rank {@code p} begins with {@code pipeline - 1 - p} forward passes. Several chunks per stage:
 * interleaved 1F1B, which begins with {@code 2 (pipeline - 1 - p) + (chunks - 1) group} passes.
 * Evaluation: forward passes alone. Source: Megatron-Core, pipeline_parallel/schedules.py.
 *
 * <p>Each rank's passes stand in slots. What is sent after slot {@code s} of rank {@code p} is
 * received by its peer {@code q} after slot {@code s + p - q}; {@link Action.Exchange} says why
 * this cannot deadlock. Passes, chunks and phases are numbers, so a schedule of any length takes no
 * memory.
 *
 * @param pipeline ranks of the pipeline
 * @param chunks model chunks of each rank; above 1 the schedule is interleaved
 * @param microBatches of one step
 * @param group micro-batches that pass through a chunk before the next chunk has its turn; without
 *     interleaving equal to {@code pipeline}
 * @param forwardOnly whether there is no backward pass
 */
public record Schedule(int pipeline, int chunks, int microBatches, int group, boolean forwardOnly) {
  private static final String GROUP = "--microbatch_group_size_per_virtual_pipeline_stage";

  public Schedule {
    if (pipeline < 1 || chunks < 1 || microBatches < 1) {
      throw new UserError(
          "a pipeline of %d ranks with %d model chunks each and %d micro-batches cannot be scheduled; all three must be at least 1."
              .formatted(pipeline, chunks, microBatches));
    }
    if (chunks > 1 && pipeline == 1) {
      throw new UserError(
          "%d virtual stages need a --pipeline_model_parallel_size above 1; raise that or leave them out."
              .formatted(chunks));
    }
    if (2L * chunks * microBatches + 4L * pipeline + (long) chunks * group > Integer.MAX_VALUE) {
      throw new UserError(
          "%d micro-batches on %d x %d model chunks are more than a step can have; lower --global_batch_size."
              .formatted(microBatches, pipeline, chunks));
    }
    if (chunks > 1) {
      checkGroup(pipeline, microBatches, group);
    } else if (group != pipeline) {
      throw new UserError(
          "%s is %d, but without virtual stages there are no groups; leave it out."
              .formatted(GROUP, group));
    }
  }

  private static void checkGroup(int pipeline, int microBatches, int group) {
    if (group < pipeline || group > microBatches) {
      throw new UserError(
          "%s is %d; it must be at least --pipeline_model_parallel_size %d and at most the %d micro-batches of a step."
              .formatted(GROUP, group, pipeline, microBatches));
    }
    int rest = microBatches % group;
    if (rest > 0 && rest < pipeline) {
      throw new UserError(
          "%d micro-batches in groups of %d leave a last group of %d, fewer than the %d pipeline ranks; change --global_batch_size or %s."
              .formatted(microBatches, group, rest, pipeline, GROUP));
    }
  }

  /**
   * The schedule of a training step.
   *
   * @param group as {@code --microbatch_group_size_per_virtual_pipeline_stage}; null means {@code
   *     pipeline}
   */
  public static Schedule training(
      int pipeline, int chunks, int microBatches, @Nullable Integer group) {
    return new Schedule(pipeline, chunks, microBatches, group == null ? pipeline : group, false);
  }

  /** The schedule of an evaluation, which has no backward passes. */
  public static Schedule evaluation(
      int pipeline, int chunks, int microBatches, @Nullable Integer group) {
    return new Schedule(pipeline, chunks, microBatches, group == null ? pipeline : group, true);
  }

  /** What a rank of the pipeline does, in order. */
  public RankSchedule rank(int rank) {
    return new RankSchedule(this, rank);
  }

  /** Its name in the field. */
  public String name() {
    if (forwardOnly) {
      return "forward only";
    }
    if (pipeline == 1) {
      return "no pipelining";
    }
    return chunks == 1 ? "1F1B" : "interleaved 1F1B";
  }

  /** Forward passes of a rank: each micro-batch through each of its chunks. */
  public int passes() {
    return microBatches * chunks;
  }

  /**
   * The share of a step in which a rank waits, if all passes through a stage take equally long,
   * backward any multiple of forward, and transfers no time: {@code (pipeline - 1) / (chunks
   * microBatches + pipeline - 1)}.
   *
   * <p>Holds where each group has exactly {@code pipeline} micro-batches or there is one chunk.
   */
  public double idealBubble() {
    return (pipeline - 1.0) / ((double) passes() + pipeline - 1);
  }

  /**
   * The most micro-batches (times chunks) that a rank keeps activations of at one time; 0 in an
   * evaluation.
   */
  public int activationBound(int rank) {
    return forwardOnly ? 0 : Math.min(passes(), warmup(rank) + 1);
  }

  PassOrder order() {
    return new PassOrder(microBatches, chunks, group);
  }

  /** Passes before the first backward one, if there were enough micro-batches. */
  int warmup(int rank) {
    int after = pipeline - 1 - rank;
    return chunks == 1 ? after : 2 * after + (chunks - 1) * group;
  }

  /** With one chunk a backward pass depends on the one that follows forward, so slots alternate. */
  private boolean alternates() {
    return chunks == 1 && !forwardOnly;
  }

  /** The forward pass in a slot, or -1. */
  int forwardIn(int slot) {
    int pass = alternates() ? slot >> 1 : slot;
    boolean taken = slot >= 0 && pass < passes() && !(alternates() && (slot & 1) == 1);
    return taken ? pass : -1;
  }

  /** The backward pass in a slot of a rank, or -1. */
  int backwardIn(int rank, int slot) {
    if (forwardOnly || slot < 0 || (alternates() && (slot & 1) == 0)) {
      return -1;
    }
    int pass = (alternates() ? slot >> 1 : slot) - warmup(rank);
    return pass >= 0 && pass < passes() ? pass : -1;
  }

  /** One more than the slot of the last forward pass, which is the same on every rank. */
  int forwardEnd() {
    return alternates() ? 2 * passes() - 1 : passes();
  }

  /** The slot of a rank's first backward pass; past its end if there is none. */
  int backwardBegin(int rank) {
    if (forwardOnly) {
      return Integer.MAX_VALUE / 2;
    }
    return alternates() ? 2 * warmup(rank) + 1 : warmup(rank);
  }

  /** One more than the last slot of a rank. */
  int slots(int rank) {
    if (forwardOnly) {
      return passes();
    }
    int pairs = passes() + warmup(rank);
    return alternates() ? 2 * pairs : pairs;
  }
}
