package io.panatron.runtime.train;

import io.panatron.kernels.Backend;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import io.panatron.runtime.autograd.Tape;
import io.panatron.runtime.data.MicroBatch;
import io.panatron.runtime.model.TransformerModel;
import io.panatron.runtime.observe.MicroBatchEvent;
import io.panatron.runtime.parallel.RankContext;
import io.panatron.runtime.task.Measures;
import io.panatron.runtime.task.SequenceLoss;
import io.panatron.runtime.tensor.HostTransfer;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** As {@link SequentialPasses}, for losses of sequences. */
final class SequencePasses implements Passes {
  private final RankContext rank;
  private final TransformerModel model;
  private final SequenceObjective objective;
  private final DropoutStreams dropout;
  private final boolean checkMemory;
  private @Nullable ActivationPeak activationPeak;

  SequencePasses(
      RankContext rank,
      TransformerModel model,
      SequenceObjective objective,
      DropoutStreams dropout,
      boolean checkMemory) {
    this.rank = rank;
    this.model = model;
    this.objective = objective;
    this.dropout = dropout;
    this.checkMemory = checkMemory;
  }

  @Override
  public Times run(long iteration, List<MicroBatch> batches, LossFunction loss) {
    long forwardNanos = 0;
    long backwardNanos = 0;
    for (int index = 0; index < batches.size(); index++) {
      Times times = forwardBackward(iteration, index, batches.get(index), loss);
      forwardNanos += times.forwardNanos();
      backwardNanos += times.backwardNanos();
    }
    return new Times(forwardNanos, backwardNanos);
  }

  @Override
  public @Nullable ActivationPeak activationPeak() {
    return activationPeak;
  }

  private Times forwardBackward(long iteration, int index, MicroBatch batch, LossFunction loss) {
    MicroBatchEvent event = new MicroBatchEvent();
    event.begin();
    Backend backend = rank.backend();
    try (MemoryScope scope = rank.memory().scope("micro-batch " + index, checkMemory)) {
      Tape tape = Tape.recording(backend, scope);
      DeviceBatch device = DeviceBatch.upload(backend.device(), scope, batch);
      long start = System.nanoTime();
      Tensor outputs =
          objective.outputs(tape, model, batch, device, dropout.plan(iteration, index));
      double[][] rows = SequenceObjective.rows(backend.device(), outputs);
      SequenceLoss.Result result =
          objective.loss().of(rows, SequenceObjective.targets(batch).tags());
      loss.take(index, result.loss(), measured(batch, rows));
      tape.giveGradient(
          outputs, gradient(tape, outputs, result.gradient(), loss.sequenceGradient()));
      long forwardEnd = System.nanoTime();
      tape.backward();
      Times times = new Times(forwardEnd - start, System.nanoTime() - forwardEnd);
      event.forwardNanos = times.forwardNanos();
      event.iteration = iteration;
      event.index = index;
      event.tokens = batch.tokens().length;
      event.sequences = batch.sequences();
      event.peakBytes = scope.peakBytes();
      if (activationPeak == null || activationPeak.bytes() < scope.peakBytes()) {
        activationPeak = new ActivationPeak(batch.sequenceStarts(), scope.peakBytes());
      }
      event.commit();
      return times;
    }
  }

  private Measures measured(MicroBatch batch, double[][] rows) {
    Measures measures = objective.loss().measures(false);
    measures.add(rows, SequenceObjective.targets(batch).tags());
    return measures;
  }

  private static Tensor gradient(Tape tape, Tensor outputs, double[][] rows, double factor) {
    double[] flat = new double[Math.toIntExact(outputs.elements())];
    int at = 0;
    for (double[] row : rows) {
      for (double value : row) {
        flat[at++] = factor * value;
      }
    }
    Tensor gradient = tape.allocate("outputs gradient", outputs.dtype(), outputs.shape().toArray());
    HostTransfer.write(tape.backend().device(), flat, gradient);
    return gradient;
  }
}
