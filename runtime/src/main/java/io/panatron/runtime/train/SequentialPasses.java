package io.panatron.runtime.train;

import io.panatron.kernels.Backend;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import io.panatron.runtime.autograd.Tape;
import io.panatron.runtime.autograd.TokenLoss;
import io.panatron.runtime.data.MicroBatch;
import io.panatron.runtime.model.TransformerModel;
import io.panatron.runtime.observe.MicroBatchEvent;
import io.panatron.runtime.optim.DataParallel;
import io.panatron.runtime.parallel.RankContext;
import io.panatron.runtime.tensor.HostTransfer;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** One micro-batch after the other, each forward and backward, through a whole model. */
final class SequentialPasses implements Passes {
  private final RankContext rank;
  private final TransformerModel model;
  private final TokenLoss tokenLoss;
  private final DropoutStreams dropout;
  private final DataParallel dataParallel;
  private final boolean checkMemory;
  private @Nullable ActivationPeak activationPeak;

  SequentialPasses(
      RankContext rank,
      TransformerModel model,
      TokenLoss tokenLoss,
      DropoutStreams dropout,
      DataParallel dataParallel,
      boolean checkMemory) {
    this.rank = rank;
    this.model = model;
    this.tokenLoss = tokenLoss;
    this.dropout = dropout;
    this.dataParallel = dataParallel;
    this.checkMemory = checkMemory;
  }

  @Override
  public Times run(long iteration, List<MicroBatch> batches, LossFunction loss) {
    long forwardNanos = 0;
    long backwardNanos = 0;
    for (int index = 0; index < batches.size(); index++) {
      dataParallel.beginMicroBatch(index == batches.size() - 1);
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

  private Times forwardBackward(long iteration, int index, MicroBatch drawn, LossFunction loss) {
    MicroBatch batch = drawn.filledTo(model.tokenMultiple());
    MicroBatchEvent event = new MicroBatchEvent();
    event.begin();
    Backend backend = rank.backend();
    try (MemoryScope scope = rank.memory().scope("micro-batch " + index, checkMemory)) {
      Tape tape = Tape.recording(backend, scope, dataParallel.gradientListener());
      DeviceBatch device = DeviceBatch.upload(backend.device(), scope, batch);
      Tensor weights =
          HostTransfer.upload(
              backend.device(),
              scope,
              "loss weights",
              loss.gradients(batch),
              model.dtype().accumulator());
      long start = System.nanoTime();
      Tensor losses =
          model.weightedLosses(
              tape,
              device.ids(),
              device.labels(),
              weights,
              tokenLoss,
              device.positions(),
              device.layout(),
              dropout.plan(iteration, index));
      double[] crossEntropies = HostTransfer.download(backend.device(), losses);
      loss.take(index, drawn, Arrays.copyOf(crossEntropies, drawn.length()));
      long forwardEnd = System.nanoTime();
      tape.backward();
      Times times = new Times(forwardEnd - start, System.nanoTime() - forwardEnd);
      event.forwardNanos = times.forwardNanos();
      event.iteration = iteration;
      event.index = index;
      event.tokens = drawn.length();
      event.sequences = drawn.sequences();
      event.peakBytes = scope.peakBytes();
      if (activationPeak == null || activationPeak.bytes() < scope.peakBytes()) {
        activationPeak = new ActivationPeak(batch.sequenceStarts(), scope.peakBytes());
      }
      event.commit();
      return times;
    }
  }
}
