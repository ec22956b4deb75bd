package io.panatron.runtime.train;

import io.panatron.kernels.Tensor;
import io.panatron.runtime.autograd.Tape;
import io.panatron.runtime.data.BatchSource;
import io.panatron.runtime.model.TransformerModel;
import io.panatron.runtime.optim.Optimizer;
import io.panatron.runtime.parallel.RankContext;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** What a run minimises: losses of tokens or losses of sequences. */
public sealed interface Objective permits TokenObjective, SequenceObjective {
  /** A training step towards it; arguments as those of {@link TrainStep}. */
  TrainStep step(
      RankContext rank,
      TransformerModel model,
      Optimizer optimizer,
      boolean checkMemory,
      DropoutStreams dropout);

  /** What measures a model by it; arguments as those of {@link Evaluation}. */
  Validation validation(
      RankContext rank,
      TransformerModel model,
      Supplier<BatchSource> batches,
      boolean checkMemory,
      @Nullable PredictionLog predictions);

  /**
   * The forward pass of a training step on a backend that computes nothing, to see what memory it
   * takes.
   *
   * @param ids [tokens] I32, as {@code positions} and {@code labels}
   * @param sequenceStarts where the sequences start, and where the last ends
   */
  void rehearse(
      Tape tape,
      TransformerModel model,
      Tensor ids,
      Tensor positions,
      Tensor labels,
      int[] sequenceStarts);
}
