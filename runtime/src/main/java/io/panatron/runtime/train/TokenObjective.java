package io.panatron.runtime.train;

import io.panatron.kernels.AttentionLayout;
import io.panatron.kernels.Communicator;
import io.panatron.kernels.Reduction;
import io.panatron.kernels.Tensor;
import io.panatron.runtime.autograd.Tape;
import io.panatron.runtime.autograd.TokenLoss;
import io.panatron.runtime.data.MicroBatch;
import io.panatron.runtime.model.TransformerModel;
import io.panatron.runtime.nn.DropoutPlan;
import io.panatron.runtime.tensor.HostTransfer;
import java.util.Collections;
import org.jspecify.annotations.Nullable;

/** Language modelling: the weighted loss of each token that is to be predicted. */
public final class TokenObjective extends Objective {
  private final TokenLoss tokenLoss;
  private final boolean perTokenLoss;

  /**
   * @param perTokenLoss divide the summed gradient by the target tokens of the global batch;
   *     otherwise average the micro-batches' means
   */
  public TokenObjective(TokenLoss tokenLoss, boolean perTokenLoss) {
    this.tokenLoss = tokenLoss;
    this.perTokenLoss = perTokenLoss;
  }

  @Override
  boolean dividesByParts() {
    return perTokenLoss;
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
    Tensor weights =
        HostTransfer.upload(
            tape.backend().device(),
            tape.scope(),
            "loss weights",
            lossGradients(batch, count, lossScale),
            model.dtype().accumulator());
    Tensor losses =
        model.weightedLosses(
            tape,
            device.ids(),
            device.labels(),
            weights,
            tokenLoss,
            device.positions(),
            device.layout(),
            dropout);
    double[] crossEntropies = HostTransfer.download(tape.backend().device(), losses);
    shown.channels().add(batch, crossEntropies, tokenLoss);
    return sum(batch, crossEntropies);
  }

  /**
   * What backward multiplies each token's loss with, the loss scale included; the division by all
   * targets and by the scale comes with the update.
   */
  private double[] lossGradients(MicroBatch batch, int count, double lossScale) {
    double scale = perTokenLoss ? 1 : 1.0 / Math.max(batch.targetTokens(), 1) / count;
    scale *= lossScale;
    float[] weights = batch.lossWeights();
    double[] gradients = new double[weights.length];
    for (int t = 0; t < weights.length; t++) {
      gradients[t] = weights[t] * scale;
    }
    return gradients;
  }

  private Loss sum(MicroBatch batch, double[] losses) {
    double sum = 0;
    String notFinite = null;
    float[] weights = batch.lossWeights();
    for (int t = 0; t < losses.length; t++) {
      if (batch.labels()[t] < 0) {
        continue;
      }
      if (!Double.isFinite(losses[t]) && notFinite == null) {
        notFinite = notFinite(t, losses[t]);
      }
      sum += tokenLoss.of(losses[t]) * weights[t];
    }
    return new Loss(sum, batch.targetTokens(), notFinite);
  }

  private static @Nullable String notFinite(int token, double loss) {
    return "the loss of token " + token + " of micro-batch %d is " + loss;
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
    Tensor weights =
        tape.allocate("loss weights", model.dtype().accumulator(), ids.shape().extent(0));
    model.weightedLosses(tape, ids, labels, weights, positions, layout);
  }

  @Override
  Pass evaluation() {
    return new Pass() {
      private final ChannelLosses channels = new ChannelLosses();
      private double sum;
      private long targets;

      @Override
      public void add(Tape tape, TransformerModel model, MicroBatch batch, DeviceBatch device) {
        Tensor losses =
            model.losses(tape, device.ids(), device.labels(), device.positions(), device.layout());
        double[] values = HostTransfer.download(tape.backend().device(), losses);
        channels.add(batch, values, tokenLoss);
        double batchSum = 0;
        for (int t = 0; t < values.length; t++) {
          batchSum += tokenLoss.of(values[t]) * batch.lossWeights()[t];
        }
        sum += batchSum;
        targets += batch.targetTokens();
      }

      @Override
      public Evaluation.Result result(Communicator ranks) {
        double total = ranks.allReduce(sum, Reduction.SUM);
        long count = (long) ranks.allReduce((double) targets, Reduction.SUM);
        return new Evaluation.Result(
            total / Math.max(count, 1),
            count,
            "tokens",
            channels.sumsOver(ranks),
            Collections.emptySortedMap());
      }
    };
  }
}
