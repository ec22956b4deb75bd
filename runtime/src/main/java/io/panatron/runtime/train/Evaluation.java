package io.panatron.runtime.train;

import io.panatron.kernels.Backend;
import io.panatron.kernels.MemoryScope;
import io.panatron.runtime.autograd.Tape;
import io.panatron.runtime.autograd.TokenLoss;
import io.panatron.runtime.data.BatchSource;
import io.panatron.runtime.data.MicroBatch;
import io.panatron.runtime.model.TransformerModel;
import io.panatron.runtime.parallel.RankContext;
import java.util.SortedMap;
import java.util.function.Supplier;

/** The mean loss over the validation set and what else is measured, without gradients. */
public final class Evaluation {
  private final RankContext rank;
  private final TransformerModel model;
  private final Supplier<BatchSource> validation;
  private final boolean checkMemory;
  private final Objective objective;

  /**
   * Evaluates what {@code validation} opens.
   *
   * @param validation opens the batches of one evaluation, which end by themselves
   */
  public Evaluation(
      RankContext rank,
      TransformerModel model,
      Supplier<BatchSource> validation,
      boolean checkMemory,
      Objective objective) {
    this.rank = rank;
    this.model = model;
    this.validation = validation;
    this.checkMemory = checkMemory;
    this.objective = objective;
  }

  /** Evaluates a language model. */
  public Evaluation(
      RankContext rank,
      TransformerModel model,
      Supplier<BatchSource> validation,
      boolean checkMemory,
      TokenLoss tokenLoss) {
    this(rank, model, validation, checkMemory, new TokenObjective(tokenLoss, true));
  }

  /**
   * What an evaluation found.
   *
   * @param loss the mean loss of a target token, or of a micro-batch where these have losses of
   *     sequences
   * @param targetTokens how many target tokens, or sequences, there were
   * @param unit which of them: {@code tokens} or {@code sequences}
   * @param channels losses by channel; none unless asked for
   * @param measures what else the objective measures, by name
   */
  public record Result(
      double loss,
      long targetTokens,
      String unit,
      SortedMap<String, ChannelLoss> channels,
      SortedMap<String, Double> measures) {}

  public Result run() {
    Objective.Pass pass = objective.evaluation();
    try (BatchSource batches = validation.get()) {
      while (batches.hasNext()) {
        MicroBatch batch = batches.next();
        if (batch.length() > 0) {
          add(pass, batch);
        }
      }
    }
    return pass.result(rank.dataParallel());
  }

  private void add(Objective.Pass pass, MicroBatch batch) {
    Backend backend = rank.backend();
    try (MemoryScope scope = rank.memory().scope("evaluation", checkMemory)) {
      Tape tape = Tape.inference(backend, scope);
      pass.add(tape, model, batch, DeviceBatch.upload(backend.device(), scope, batch));
    }
  }
}
