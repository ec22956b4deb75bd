package io.panatron.runtime.train;

import io.panatron.kernels.AttentionLayout;
import io.panatron.kernels.Communicator;
import io.panatron.kernels.Device;
import io.panatron.kernels.Reduction;
import io.panatron.kernels.Tensor;
import io.panatron.runtime.autograd.Tape;
import io.panatron.runtime.data.MicroBatch;
import io.panatron.runtime.data.SequenceTargets;
import io.panatron.runtime.model.SequenceReadout;
import io.panatron.runtime.model.TransformerModel;
import io.panatron.runtime.nn.DropoutPlan;
import io.panatron.runtime.task.Mean;
import io.panatron.runtime.task.Measures;
import io.panatron.runtime.task.SequenceLoss;
import io.panatron.runtime.tensor.HostTransfer;
import java.util.Collections;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * A loss of sequences: what the model says at their last tokens, compared with labels or with one
 * another. The gradient is the mean of those of the micro-batches.
 */
public final class SequenceObjective extends Objective {
  private final SequenceReadout readout;
  private final SequenceLoss loss;

  /** An objective. */
  public SequenceObjective(SequenceReadout readout, SequenceLoss loss) {
    this.readout = readout;
    this.loss = loss;
  }

  @Override
  boolean dividesByParts() {
    return false;
  }

  @Override
  Loss forward(
      Tape tape,
      TransformerModel model,
      MicroBatch batch,
      DeviceBatch device,
      DropoutPlan dropout,
      int count,
      double lossScale,
      Shown shown) {
    SequenceTargets targets = targets(batch);
    Tensor outputs = outputs(tape, model, batch, device, dropout);
    double[][] rows = rows(tape.backend().device(), outputs);
    SequenceLoss.Result result = loss.of(rows, targets.tags());
    Measures measures = loss.measures(false);
    measures.add(rows, targets.tags());
    measures.values().forEach((name, mean) -> shown.measures().merge(name, mean, Mean::plus));
    tape.giveGradient(outputs, upload(tape, outputs, result.gradient(), lossScale / count));
    return new Loss(
        result.loss(),
        1,
        Double.isFinite(result.loss())
            ? null
            : "the loss of micro-batch %d is " + result.loss());
  }

  private Tensor outputs(
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

  private static SequenceTargets targets(MicroBatch batch) {
    SequenceTargets targets = batch.targets();
    if (targets == null) {
      throw new IllegalStateException("the micro-batch has no labelled sequences");
    }
    return targets;
  }

  private static double[][] rows(Device device, Tensor outputs) {
    double[] flat = HostTransfer.download(device, outputs);
    double[][] rows = new double[outputs.shape().rows()][outputs.shape().columns()];
    for (int s = 0; s < rows.length; s++) {
      System.arraycopy(flat, s * rows[s].length, rows[s], 0, rows[s].length);
    }
    return rows;
  }

  private static Tensor upload(Tape tape, Tensor outputs, double[][] rows, double factor) {
    double[] flat = new double[Math.toIntExact(outputs.elements())];
    int at = 0;
    for (double[] row : rows) {
      for (double value : row) {
        flat[at++] = factor * value;
      }
    }
    Tensor gradient =
        tape.allocate("outputs gradient", outputs.dtype(), outputs.shape().toArray());
    HostTransfer.write(tape.backend().device(), flat, gradient);
    return gradient;
  }

  @Override
  void rehearse(
      Tape tape,
      TransformerModel model,
      Tensor ids,
      Tensor positions,
      Tensor labels,
      AttentionLayout layout,
      int[] sequenceStarts) {
    int[] last = new int[sequenceStarts.length - 1];
    for (int s = 0; s < last.length; s++) {
      last[s] = sequenceStarts[s + 1] - 1;
    }
    Tensor outputs =
        model.sequenceOutputs(tape, ids, positions, layout, DropoutPlan.NONE, last, readout);
    tape.giveGradient(
        outputs, tape.allocate("outputs gradient", outputs.dtype(), outputs.shape().toArray()));
  }

  @Override
  Pass evaluation() {
    return new Pass() {
      private final Measures measures = loss.measures(true);
      private Mean mean = Mean.NONE;
      private long sequences;

      @Override
      public void add(Tape tape, TransformerModel model, MicroBatch batch, DeviceBatch device) {
        Tensor outputs = outputs(tape, model, batch, device, DropoutPlan.NONE);
        double[][] rows = rows(tape.backend().device(), outputs);
        SequenceTargets targets = targets(batch);
        mean = mean.plus(loss.of(rows, targets.tags()).loss());
        measures.add(rows, targets.tags());
        sequences += rows.length;
      }

      @Override
      public Evaluation.Result result(Communicator ranks) {
        double sum = ranks.allReduce(mean.sum(), Reduction.SUM);
        double count = ranks.allReduce((double) mean.count(), Reduction.SUM);
        SortedMap<String, Double> values = new TreeMap<>();
        over(ranks, measures.values()).forEach((name, value) -> values.put(name, value.value()));
        return new Evaluation.Result(
            sum / Math.max(count, 1),
            (long) ranks.allReduce((double) sequences, Reduction.SUM),
            "sequences",
            Collections.emptySortedMap(),
            values);
      }
    };
  }

  /** The means over all ranks that share the samples, which measure the same. */
  static SortedMap<String, Mean> over(Communicator ranks, SortedMap<String, Mean> own) {
    SortedMap<String, Mean> all = new TreeMap<>();
    own.forEach(
        (name, mean) ->
            all.put(
                name,
                new Mean(
                    ranks.allReduce(mean.sum(), Reduction.SUM),
                    (long) ranks.allReduce((double) mean.count(), Reduction.SUM))));
    return all;
  }
}
