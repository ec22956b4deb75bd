package io.panatron.runtime.train;

import io.panatron.kernels.Device;
import io.panatron.kernels.Tensor;
import io.panatron.runtime.autograd.Tape;
import io.panatron.runtime.autograd.TokenLoss;
import io.panatron.runtime.data.MicroBatch;
import io.panatron.runtime.model.ModelStage;
import io.panatron.runtime.parallel.RankContext;
import io.panatron.runtime.parallel.pipeline.Schedule;
import io.panatron.runtime.tensor.HostTransfer;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Micro-batches on their way through the stages of a pipeline. Every rank of a pipeline sees the
 * same micro-batches: the first stage their ids, the last their labels, all their borders.
 */
final class PipelinedPasses implements Passes {
  private final RankContext rank;
  private final List<ModelStage> stages;
  private final @Nullable Integer group;
  private final TokenLoss tokenLoss;
  private final DropoutStreams dropout;
  private final boolean checkMemory;
  private @Nullable ActivationPeak activationPeak;

  /**
   * Passes through this rank's chunks.
   *
   * @param stages of this rank, in the order of the model
   * @param group {@code --microbatch_group_size_per_virtual_pipeline_stage}, or null
   */
  PipelinedPasses(
      RankContext rank,
      List<ModelStage> stages,
      @Nullable Integer group,
      TokenLoss tokenLoss,
      DropoutStreams dropout,
      boolean checkMemory) {
    this.rank = rank;
    this.stages = List.copyOf(stages);
    this.group = group;
    this.tokenLoss = tokenLoss;
    this.dropout = dropout;
    this.checkMemory = checkMemory;
  }

  @Override
  public Times run(long iteration, List<MicroBatch> batches, LossFunction loss) {
    ModelStage any = stages.getFirst();
    List<MicroBatch> filled =
        batches.stream().map(batch -> batch.filledTo(any.tokenMultiple())).toList();
    int place = rank.coordinates().pipeline().index();
    Schedule schedule =
        Schedule.training(
            rank.coordinates().pipeline().size(), stages.size(), batches.size(), group);
    Step step = new Step(iteration, batches, filled, loss);
    PipelineEngine engine = new PipelineEngine(rank, step, any.dtype(), any.hidden(), checkMemory);
    long start = System.nanoTime();
    engine.run(schedule.rank(place));
    long nanos = System.nanoTime() - start;
    if (activationPeak == null || activationPeak.bytes() < engine.peakBytes()) {
      activationPeak = new ActivationPeak(longest(filled), engine.peakBytes());
    }
    return new Times(step.forwardNanos, nanos - step.forwardNanos);
  }

  @Override
  public @Nullable ActivationPeak activationPeak() {
    return activationPeak;
  }

  private static int[] longest(List<MicroBatch> batches) {
    MicroBatch longest = batches.getFirst();
    for (MicroBatch batch : batches) {
      longest = batch.length() > longest.length() ? batch : longest;
    }
    return longest.sequenceStarts();
  }

  /** The passes of one iteration. */
  private final class Step implements PipelineEngine.ChunkPasses {
    private final long iteration;
    private final List<MicroBatch> drawn;
    private final List<MicroBatch> batches;
    private final LossFunction loss;
    private long forwardNanos;

    /**
     * @param batches those drawn, filled up to what sequence parallelism needs
     */
    Step(long iteration, List<MicroBatch> drawn, List<MicroBatch> batches, LossFunction loss) {
      this.iteration = iteration;
      this.drawn = drawn;
      this.batches = batches;
      this.loss = loss;
    }

    @Override
    public long tokens(int microBatch) {
      return batches.get(microBatch).length() / stages.getFirst().tokenMultiple();
    }

    @Override
    public @Nullable Tensor forward(
        Tape tape, int microBatch, int chunk, @Nullable Tensor received) {
      long start = System.nanoTime();
      ModelStage stage = stages.get(chunk);
      MicroBatch batch = batches.get(microBatch);
      DeviceBatch device = DeviceBatch.upload(rank.backend().device(), tape.scope(), batch);
      ModelStage.Tokens tokens =
          new ModelStage.Tokens(
              device.positions(), device.layout(), dropout.plan(iteration, microBatch));
      Tensor x = received == null ? device.ids() : received;
      Tensor output = null;
      if (stage.isLast()) {
        losses(tape, stage, x, microBatch, device, tokens);
      } else {
        output = stage.forward(tape, x, tokens);
      }
      forwardNanos += System.nanoTime() - start;
      return output;
    }

    private void losses(
        Tape tape,
        ModelStage stage,
        Tensor x,
        int microBatch,
        DeviceBatch device,
        ModelStage.Tokens tokens) {
      MicroBatch batch = batches.get(microBatch);
      Device host = rank.backend().device();
      Tensor weights =
          HostTransfer.upload(
              host,
              tape.scope(),
              "loss weights",
              loss.gradients(batch),
              stage.dtype().accumulator());
      Tensor losses = stage.weightedLosses(tape, x, device.labels(), weights, tokenLoss, tokens);
      double[] crossEntropies = HostTransfer.download(host, losses);
      MicroBatch real = drawn.get(microBatch);
      loss.take(microBatch, real, Arrays.copyOf(crossEntropies, real.length()));
    }
  }
}
