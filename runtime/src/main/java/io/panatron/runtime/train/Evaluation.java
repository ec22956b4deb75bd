package io.panatron.runtime.train;

import io.panatron.kernels.Backend;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Reduction;
import io.panatron.kernels.Tensor;
import io.panatron.runtime.autograd.Tape;
import io.panatron.runtime.autograd.TokenLoss;
import io.panatron.runtime.data.BatchSource;
import io.panatron.runtime.data.MicroBatch;
import io.panatron.runtime.model.TransformerModel;
import io.panatron.runtime.parallel.RankContext;
import io.panatron.runtime.tensor.HostTransfer;
import java.util.Collections;
import java.util.SortedMap;
import java.util.function.Supplier;

/** The mean loss over the validation set, without gradients. */
public final class Evaluation implements Validation {
  private final RankContext rank;
  private final TransformerModel model;
  private final Supplier<BatchSource> validation;
  private final boolean checkMemory;
  private final TokenLoss tokenLoss;

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
      TokenLoss tokenLoss) {
    this.rank = rank;
    this.model = model;
    this.validation = validation;
    this.checkMemory = checkMemory;
    this.tokenLoss = tokenLoss;
  }

  /**
   * What an evaluation found.
   *
   * @param loss the mean loss of a target token, or of a micro-batch where these have losses of
   *     sequences
   * @param targetTokens how many target tokens, or sequences, there were
   * @param channels losses by channel; none unless asked for
   * @param unit what was counted: {@code tokens} or {@code sequences}
   * @param measures what else was measured, by name
   */
  public record Result(
      double loss,
      long targetTokens,
      SortedMap<String, ChannelLoss> channels,
      String unit,
      SortedMap<String, Double> measures) {}

  @Override
  public Result run(long iteration) {
    return run();
  }

  public Result run() {
    ChannelLosses channels = new ChannelLosses();
    double sum = 0;
    long targets = 0;
    try (BatchSource batches = validation.get()) {
      while (batches.hasNext()) {
        MicroBatch batch = batches.next();
        sum += batch.length() == 0 ? 0 : lossSum(batch, channels);
        targets += batch.targetTokens();
      }
    }
    sum = rank.groups().dataContext().allReduce(sum, Reduction.SUM);
    targets = (long) rank.groups().dataContext().allReduce((double) targets, Reduction.SUM);
    return new Result(
        sum / Math.max(targets, 1),
        targets,
        channels.sumsOver(rank.groups().dataContext()),
        "tokens",
        Collections.emptySortedMap());
  }

  private double lossSum(MicroBatch drawn, ChannelLosses channels) {
    MicroBatch batch = drawn.filledTo(model.tokenMultiple());
    Backend backend = rank.backend();
    try (MemoryScope scope = rank.memory().scope("evaluation", checkMemory)) {
      Tape tape = Tape.inference(backend, scope);
      DeviceBatch device = DeviceBatch.upload(backend.device(), scope, batch);
      Tensor losses =
          model.losses(tape, device.ids(), device.labels(), device.positions(), device.layout());
      double[] values = HostTransfer.download(backend.device(), losses);
      channels.add(drawn, values, tokenLoss);
      double sum = 0;
      for (int t = 0; t < values.length; t++) {
        sum += tokenLoss.of(values[t]) * batch.lossWeights()[t];
      }
      return sum;
    }
  }
}
