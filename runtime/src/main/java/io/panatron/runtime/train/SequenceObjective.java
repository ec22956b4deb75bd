package io.panatron.runtime.train;

import io.panatron.kernels.AttentionLayout;
import io.panatron.kernels.Device;
import io.panatron.kernels.Tensor;
import io.panatron.runtime.autograd.Tape;
import io.panatron.runtime.data.BatchSource;
import io.panatron.runtime.data.MicroBatch;
import io.panatron.runtime.data.SequenceTargets;
import io.panatron.runtime.model.SequenceReadout;
import io.panatron.runtime.model.TransformerModel;
import io.panatron.runtime.nn.DropoutPlan;
import io.panatron.runtime.optim.Optimizer;
import io.panatron.runtime.parallel.RankContext;
import io.panatron.runtime.task.SequenceLoss;
import io.panatron.runtime.tensor.HostTransfer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * A loss of sequences: what the model says at their last tokens, compared with labels or with one
 * another. The gradient of a step is the mean of those of its micro-batches.
 */
public record SequenceObjective(SequenceReadout readout, SequenceLoss loss) implements Objective {
  @Override
  public TrainStep step(
      RankContext rank,
      TransformerModel model,
      Optimizer optimizer,
      boolean checkMemory,
      DropoutStreams dropout) {
    return new TrainStep(
        rank, new SequencePasses(rank, model, this, dropout, checkMemory), optimizer);
  }

  @Override
  public Validation validation(
      RankContext rank,
      TransformerModel model,
      Supplier<BatchSource> batches,
      boolean checkMemory,
      @Nullable PredictionLog predictions) {
    return new SequenceEvaluation(rank, model, batches, checkMemory, this, predictions);
  }

  @Override
  public void rehearse(
      Tape tape,
      TransformerModel model,
      Tensor ids,
      Tensor positions,
      Tensor labels,
      int[] sequenceStarts) {
    int[] last = new int[sequenceStarts.length - 1];
    for (int s = 0; s < last.length; s++) {
      last[s] = sequenceStarts[s + 1] - 1;
    }
    Tensor outputs =
        model.sequenceOutputs(
            tape,
            ids,
            positions,
            AttentionLayout.packed(sequenceStarts),
            DropoutPlan.NONE,
            last,
            readout);
    tape.giveGradient(
        outputs, tape.allocate("outputs gradient", outputs.dtype(), outputs.shape().toArray()));
  }

  /** What the model says of the sequences of a micro-batch. */
  Tensor outputs(
      Tape tape,
      TransformerModel model,
      MicroBatch batch,
      DeviceBatch device,
      DropoutPlan dropout) {
    return model.sequenceOutputs(
        tape,
        device.ids(),
        device.positions(),
        device.layout(),
        dropout,
        targets(batch).lastTokens(),
        readout);
  }

  static SequenceTargets targets(MicroBatch batch) {
    SequenceTargets targets = batch.targets();
    if (targets == null) {
      throw new IllegalStateException("the micro-batch has no labelled sequences");
    }
    return targets;
  }

  /** The outputs on the host, a row for each sequence. */
  static double[][] rows(Device device, Tensor outputs) {
    double[] flat = HostTransfer.download(device, outputs);
    double[][] rows = new double[outputs.shape().rows()][outputs.shape().columns()];
    for (int s = 0; s < rows.length; s++) {
      System.arraycopy(flat, s * rows[s].length, rows[s], 0, rows[s].length);
    }
    return rows;
  }
}
