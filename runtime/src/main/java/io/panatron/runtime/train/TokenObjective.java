package io.panatron.runtime.train;

import io.panatron.kernels.AttentionLayout;
import io.panatron.kernels.Tensor;
import io.panatron.runtime.autograd.Tape;
import io.panatron.runtime.autograd.TokenLoss;
import io.panatron.runtime.data.BatchSource;
import io.panatron.runtime.model.TransformerModel;
import io.panatron.runtime.optim.Optimizer;
import io.panatron.runtime.parallel.RankContext;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Language modelling: the weighted loss of each token that is to be predicted.
 *
 * @param perTokenLoss divide the summed gradient by the target tokens of the global batch;
 *     otherwise average the micro-batches' means
 */
public record TokenObjective(TokenLoss tokenLoss, boolean perTokenLoss) implements Objective {
  @Override
  public TrainStep step(
      RankContext rank,
      TransformerModel model,
      Optimizer optimizer,
      boolean checkMemory,
      DropoutStreams dropout) {
    return new TrainStep(rank, model, optimizer, perTokenLoss, checkMemory, tokenLoss, dropout);
  }

  @Override
  public Validation validation(
      RankContext rank,
      TransformerModel model,
      Supplier<BatchSource> batches,
      boolean checkMemory,
      @Nullable PredictionLog predictions) {
    return new Evaluation(rank, model, batches, checkMemory, tokenLoss);
  }

  @Override
  public void rehearse(
      Tape tape,
      TransformerModel model,
      Tensor ids,
      Tensor positions,
      Tensor labels,
      int[] sequenceStarts) {
    Tensor weights =
        tape.allocate("loss weights", model.dtype().accumulator(), ids.shape().extent(0));
    model.weightedLosses(
        tape, ids, labels, weights, positions, AttentionLayout.packed(sequenceStarts));
  }
}
