package io.panatron.runtime.train;

import io.panatron.kernels.Communicator;
import io.panatron.kernels.Reduction;
import io.panatron.runtime.autograd.TokenLoss;
import io.panatron.runtime.data.MicroBatch;
import io.panatron.runtime.model.ModelStage;
import io.panatron.runtime.model.TransformerModel;
import io.panatron.runtime.optim.DynamicLossScale;
import io.panatron.runtime.optim.NonFiniteGradientException;
import io.panatron.runtime.optim.Optimizer;
import io.panatron.runtime.parallel.RankContext;
import io.panatron.runtime.task.Mean;
import io.panatron.runtime.task.Measures;
import java.util.List;
import java.util.OptionalDouble;
import java.util.SortedMap;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * One optimizer step: forward and backward over the micro-batches of a global batch, the gradient
 * norm, clipping, the update. {@code sft}, {@code pt} and {@code bench} all run this code.
 *
 * <p>The order and the scaling follow Megatron-Core, optimizer.py and schedules.py.
 */
public final class TrainStep {
  private static final String ADVICE =
      ", so the step was given up before it changed a parameter; lower --lr or --clip_grad, or"
          + " check the weights and the rows";

  private final RankContext rank;
  private final Passes passes;
  private final Optimizer optimizer;
  private final boolean perTokenLoss;
  private final TokenLoss tokenLoss;

  /** A step without dropout; arguments as below. */
  public TrainStep(
      RankContext rank,
      TransformerModel model,
      Optimizer optimizer,
      boolean perTokenLoss,
      boolean checkMemory) {
    this(
        rank,
        model,
        optimizer,
        perTokenLoss,
        checkMemory,
        TokenLoss.CROSS_ENTROPY,
        DropoutStreams.NONE);
  }

  /**
   * As above, with the loss of a token.
   *
   * @param perTokenLoss divide the summed gradient by the target tokens of the global batch;
   *     otherwise average the micro-batches' means
   * @param checkMemory red zones and generation checks on every buffer of a step
   * @param dropout what each micro-batch drops
   */
  public TrainStep(
      RankContext rank,
      TransformerModel model,
      Optimizer optimizer,
      boolean perTokenLoss,
      boolean checkMemory,
      TokenLoss tokenLoss,
      DropoutStreams dropout) {
    this(
        rank,
        new SequentialPasses(rank, model, tokenLoss, dropout, optimizer.samples(), checkMemory),
        optimizer,
        perTokenLoss,
        tokenLoss);
  }

  /**
   * A step of one rank of a pipeline.
   *
   * @param stages of this rank, in the order of the model
   * @param group {@code --microbatch_group_size_per_virtual_pipeline_stage}, or null
   */
  public static TrainStep pipelined(
      RankContext rank,
      List<ModelStage> stages,
      @Nullable Integer group,
      Optimizer optimizer,
      boolean perTokenLoss,
      boolean checkMemory,
      TokenLoss tokenLoss,
      DropoutStreams dropout) {
    return new TrainStep(
        rank,
        new PipelinedPasses(rank, stages, group, tokenLoss, dropout, checkMemory),
        optimizer,
        perTokenLoss,
        tokenLoss);
  }

  /** A step towards losses of sequences, whose micro-batches count alike. */
  TrainStep(RankContext rank, SequencePasses passes, Optimizer optimizer) {
    this(rank, passes, optimizer, false, TokenLoss.CROSS_ENTROPY);
  }

  /** A step that runs its micro-batches as {@code passes} does. */
  TrainStep(
      RankContext rank,
      Passes passes,
      Optimizer optimizer,
      boolean perTokenLoss,
      TokenLoss tokenLoss) {
    this.rank = rank;
    this.passes = passes;
    this.optimizer = optimizer;
    this.perTokenLoss = perTokenLoss;
    this.tokenLoss = tokenLoss;
  }

  /**
   * Runs iteration {@code iteration} (from 1) at {@code learningRate}.
   *
   * <p>Where a dynamic loss scale makes gradients overflow, or a float16 activation makes the loss
   * do so, the step is skipped: no parameter and no moment changes.
   *
   * @throws NonFiniteLossException before any parameter changed
   */
  public StepResult run(long iteration, List<MicroBatch> batches, double learningRate) {
    double lossScale = optimizer.lossScaler().scale();
    optimizer.zeroGradients();
    StepLoss loss = new StepLoss(iteration, batches.size(), lossScale);
    Passes.Times passed = passes.run(iteration, batches, loss);
    long targets = loss.sequenceLosses;
    long tokens = 0;
    for (MicroBatch batch : batches) {
      targets += batch.targetTokens();
      tokens += batch.tokens().length;
    }
    Communicator ranks = rank.groups().dataContext();
    // The last stage of a pipeline knows the losses, the others have 0.
    Communicator stages = rank.groups().pipeline();
    double lossSum = stages.allReduce(ranks.allReduce(loss.sum, Reduction.SUM), Reduction.SUM);
    targets = (long) ranks.allReduce((double) targets, Reduction.SUM);
    tokens = (long) ranks.allReduce((double) tokens, Reduction.SUM);
    long updateStart = System.nanoTime();
    double divisor = perTokenLoss ? Math.max(targets, 1) : rank.groups().data().size();
    double scale = 1.0 / divisor / lossScale;
    completeGradients(iteration);
    double norm = gradientNorm(iteration, lossSum, scale);
    boolean skipped = Double.isNaN(norm);
    if (!skipped) {
      optimizer.step(learningRate, scale * optimizer.clipFactor(norm));
    }
    StepResult.Times times =
        new StepResult.Times(
            passed.forwardNanos(), passed.backwardNanos(), System.nanoTime() - updateStart);
    return new StepResult(
        lossSum,
        targets,
        tokens,
        norm,
        learningRate,
        skipped,
        nextLossScale(),
        times,
        loss.channels.sumsOver(ranks, stages),
        SequenceEvaluation.over(ranks, loss.measures));
  }

  private void completeGradients(long iteration) {
    try {
      optimizer.completeGradients();
    } catch (NonFiniteGradientException e) {
      throw new NonFiniteLossException(where(iteration) + e.getMessage() + ADVICE);
    }
  }

  /**
   * The norm of the gradients without their loss scale, which moves by what is seen here.
   *
   * @return NaN where the step is to be skipped, since a dynamic loss scale was too large
   * @throws NonFiniteLossException where a gradient is not finite and no smaller scale would help
   */
  private double gradientNorm(long iteration, double lossSum, double scale) {
    if (optimizer.lossScaler() instanceof DynamicLossScale dynamic) {
      double norm = Double.isFinite(lossSum) ? optimizer.gradientNormOrNan(scale) : Double.NaN;
      dynamic.update(Double.isNaN(norm));
      if (dynamic.isHopeless()) {
        throw new NonFiniteLossException(
            where(iteration)
                + "the loss or a gradient has not been finite for many iterations, although the loss"
                + " scale is at its least, "
                + dynamic.scale()
                + ADVICE);
      }
      return norm;
    }
    try {
      return optimizer.gradientNorm(scale);
    } catch (NonFiniteGradientException e) {
      throw new NonFiniteLossException(where(iteration) + e.getMessage() + ADVICE);
    }
  }

  private OptionalDouble nextLossScale() {
    return optimizer.lossScaler() instanceof DynamicLossScale dynamic
        ? OptionalDouble.of(dynamic.scale())
        : OptionalDouble.empty();
  }

  /** The micro-batch that took the most memory so far; null before the first. */
  public Passes.@Nullable ActivationPeak activationPeak() {
    return passes.activationPeak();
  }

  private String where(long iteration) {
    return "iteration " + iteration + ", rank " + rank.rank() + ": ";
  }

  /** The losses of one iteration. */
  private final class StepLoss implements Passes.LossFunction {
    final ChannelLosses channels = new ChannelLosses();
    final SortedMap<String, Mean> measures = new TreeMap<>();
    double sum;
    long sequenceLosses;
    private final long iteration;
    private final int microBatches;
    private final double lossScale;

    StepLoss(long iteration, int microBatches, double lossScale) {
      this.iteration = iteration;
      this.microBatches = microBatches;
      this.lossScale = lossScale;
    }

    /** With the loss scale; the division by all targets and by the scale comes with the update. */
    @Override
    public double[] gradients(MicroBatch batch) {
      double scale = perTokenLoss ? 1 : 1.0 / Math.max(batch.targetTokens(), 1) / microBatches;
      scale *= lossScale;
      float[] weights = batch.lossWeights();
      double[] gradients = new double[weights.length];
      for (int t = 0; t < weights.length; t++) {
        gradients[t] = weights[t] * scale;
      }
      return gradients;
    }

    @Override
    public void take(int index, MicroBatch batch, double[] crossEntropies) {
      sum += weightedSum(index, batch, crossEntropies);
      channels.add(batch, crossEntropies, tokenLoss);
    }

    @Override
    public double sequenceGradient() {
      return lossScale / microBatches;
    }

    @Override
    public void take(int index, double sequenceLoss, Measures measured) {
      if (!Double.isFinite(sequenceLoss) && !(optimizer.lossScaler() instanceof DynamicLossScale)) {
        throw new NonFiniteLossException(
            where(iteration) + "the loss of micro-batch " + index + " is " + sequenceLoss + ADVICE);
      }
      sum += sequenceLoss;
      sequenceLosses++;
      measured.values().forEach((name, mean) -> measures.merge(name, mean, Mean::plus));
    }

    private double weightedSum(int index, MicroBatch batch, double[] losses) {
      double weighted = 0;
      float[] weights = batch.lossWeights();
      for (int t = 0; t < losses.length; t++) {
        if (batch.labels()[t] < 0) {
          continue;
        }
        if (!Double.isFinite(losses[t]) && !(optimizer.lossScaler() instanceof DynamicLossScale)) {
          throw new NonFiniteLossException(
              where(iteration)
                  + "the loss of token "
                  + t
                  + " of micro-batch "
                  + index
                  + " is "
                  + losses[t]
                  + ADVICE);
        }
        weighted += tokenLoss.of(losses[t]) * weights[t];
      }
      return weighted;
    }
  }
}
