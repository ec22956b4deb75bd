package io.panatron.runtime.task;

import io.panatron.runtime.data.SequenceTag;
import java.util.List;
import java.util.Map;

/**
 * The loss of a micro-batch's sequences, and its gradient, from what the model says of each.
 *
 * <p>There are few sequences and their outputs leave the device, so this is computed on the host in
 * float64. <b>Shapes</b>: outputs: [sequences][width], one row for each tag.
 */
public sealed interface SequenceLoss
    permits ClassificationLoss, PairLoss, InfoNceLoss, RankingLoss {
  /**
   * A loss and how it changes.
   *
   * @param loss mean over the micro-batch
   * @param gradient of the loss by each output
   */
  record Result(double loss, double[][] gradient) {}

  Result of(double[][] outputs, List<SequenceTag> tags);

  /**
   * What was predicted, a map of names to numbers, texts and lists for each row of the data, or
   * each group of one.
   */
  List<Map<String, Object>> predictions(double[][] outputs, List<SequenceTag> tags);

  /** Starts the measures of one micro-batch, or of a whole evaluation. */
  Measures measures(boolean evaluation);
}
