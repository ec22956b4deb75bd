package io.panatron.runtime.train;

import io.panatron.kernels.Backend;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Reduction;
import io.panatron.runtime.autograd.Tape;
import io.panatron.runtime.autograd.TokenLoss;
import io.panatron.runtime.data.MicroBatch;
import io.panatron.runtime.model.TransformerModel;
import io.panatron.runtime.observe.MicroBatchEvent;
import io.panatron.runtime.optim.DynamicLossScale;
import io.panatron.runtime.optim.NonFiniteGradientException;
import io.panatron.runtime.optim.Optimizer;
import io.panatron.runtime.parallel.RankContext;
import java.util.List;
import java.util.OptionalDouble;
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
  private final TransformerModel model;
  private final Optimizer optimizer;
  private final Objective objective;
  private final boolean checkMemory;
  private @Nullable ActivationPeak activationPeak;
  private final DropoutStreams dropout;
  private double lossScale = 1;
  private long forwardNanos;
  private long backwardNanos;

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
        new TokenObjective(TokenLoss.CROSS_ENTROPY, perTokenLoss),
        checkMemory,
        DropoutStreams.NONE);
  }

  /** A step of language modelling; arguments as those of {@link TokenObjective} and below. */
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
        model,
        optimizer,
        new TokenObjective(tokenLoss, perTokenLoss),
        checkMemory,
        dropout);
  }

  /**
   * A step.
   *
   * @param objective what it minimises
   * @param checkMemory red zones and generation checks on every buffer of a step
   * @param dropout what each micro-batch drops
   */
  public TrainStep(
      RankContext rank,
      TransformerModel model,
      Optimizer optimizer,
      Objective objective,
      boolean checkMemory,
      DropoutStreams dropout) {
    this.rank = rank;
    this.model = model;
    this.optimizer = optimizer;
    this.objective = objective;
    this.checkMemory = checkMemory;
    this.dropout = dropout;
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
    forwardNanos = 0;
    backwardNanos = 0;
    lossScale = optimizer.lossScaler().scale();
    optimizer.zeroGradients();
    Objective.Shown shown = new Objective.Shown(new ChannelLosses(), new TreeMap<>());
    double lossSum = 0;
    long targets = 0;
    long tokens = 0;
    for (int index = 0; index < batches.size(); index++) {
      MicroBatch batch = batches.get(index);
      Objective.Loss loss = forwardBackward(iteration, index, batches.size(), batch, shown);
      lossSum += loss.sum();
      targets += loss.parts();
      tokens += batch.tokens().length;
    }
    lossSum = rank.dataParallel().allReduce(lossSum, Reduction.SUM);
    targets = (long) rank.dataParallel().allReduce((double) targets, Reduction.SUM);
    long updateStart = System.nanoTime();
    double scale = (objective.dividesByParts() ? 1.0 / Math.max(targets, 1) : 1.0) / lossScale;
    double norm = gradientNorm(iteration, lossSum, scale);
    boolean skipped = Double.isNaN(norm);
    if (!skipped) {
      optimizer.step(learningRate, scale * optimizer.clipFactor(norm));
    }
    StepResult.Times times =
        new StepResult.Times(forwardNanos, backwardNanos, System.nanoTime() - updateStart);
    return new StepResult(
        lossSum,
        targets,
        tokens,
        norm,
        learningRate,
        skipped,
        nextLossScale(),
        times,
        shown.channels().sumsOver(rank.dataParallel()),
        SequenceObjective.over(rank.dataParallel(), shown.measures()));
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

  /**
   * The most memory that a micro-batch took besides what lives as long as the run.
   *
   * @param sequenceStarts where the sequences of that micro-batch start, and where the last ends
   */
  public record ActivationPeak(int[] sequenceStarts, long bytes) {}

  /** The micro-batch that took the most memory so far; null before the first. */
  public @Nullable ActivationPeak activationPeak() {
    return activationPeak;
  }

  private Objective.Loss forwardBackward(
      long iteration, int index, int count, MicroBatch batch, Objective.Shown shown) {
    MicroBatchEvent event = new MicroBatchEvent();
    event.begin();
    Backend backend = rank.backend();
    try (MemoryScope scope = rank.memory().scope("micro-batch " + index, checkMemory)) {
      Tape tape = Tape.recording(backend, scope);
      DeviceBatch device = DeviceBatch.upload(backend.device(), scope, batch);
      long start = System.nanoTime();
      Objective.Loss loss =
          objective.forward(
              tape, model, batch, device, dropout.plan(iteration, index), count, lossScale, shown);
      requireFinite(iteration, index, loss);
      long forwardEnd = System.nanoTime();
      event.forwardNanos = forwardEnd - start;
      tape.backward();
      forwardNanos += event.forwardNanos;
      backwardNanos += System.nanoTime() - forwardEnd;
      event.iteration = iteration;
      event.index = index;
      event.tokens = batch.tokens().length;
      event.sequences = batch.sequenceStarts().length - 1;
      event.peakBytes = scope.peakBytes();
      if (activationPeak == null || activationPeak.bytes() < scope.peakBytes()) {
        activationPeak = new ActivationPeak(batch.sequenceStarts(), scope.peakBytes());
      }
      event.commit();
      return loss;
    }
  }

  private void requireFinite(long iteration, int index, Objective.Loss loss) {
    String problem = loss.notFinite();
    if (problem != null && !(optimizer.lossScaler() instanceof DynamicLossScale)) {
      throw new NonFiniteLossException(where(iteration) + problem.formatted(index) + ADVICE);
    }
  }

  private String where(long iteration) {
    return "iteration " + iteration + ", rank " + rank.rank() + ": ";
  }
}
