package io.panatron.runtime.task;

import io.panatron.runtime.data.SequenceRole;
import io.panatron.runtime.data.SequenceTag;
import io.panatron.runtime.task.Groups.Range;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/**
 * The losses of rerankers, which give each pair of query and document a score {@code z}: pointwise,
 * the mean binary cross-entropy of {@code z}; listwise, of each positive and the negatives behind
 * it the cross-entropy of {@code z / temperature} with the positive as the target, the mean over
 * the groups.
 *
 * <p>A score is the difference of the two columns where the outputs have two: the logits of a yes
 * and a no.
 */
public sealed interface RankingLoss extends SequenceLoss {

  /** One document at a time. */
  record Pointwise() implements RankingLoss {
    @Override
    public Result of(double[][] outputs, List<SequenceTag> tags) {
      double[] scores = scores(outputs);
      double loss = 0;
      for (int s = 0; s < scores.length; s++) {
        double label = tags.get(s).label();
        loss += Numerics.binaryCrossEntropy(scores[s], label) / scores.length;
        scores[s] = (Numerics.sigmoid(scores[s]) - label) / scores.length;
      }
      return new Result(loss, gradient(outputs, scores));
    }
  }

  /**
   * The documents of a query together.
   *
   * @param smallestGroup groups of fewer documents have no loss
   */
  record Listwise(double temperature, int smallestGroup) implements RankingLoss {
    @Override
    public Result of(double[][] outputs, List<SequenceTag> tags) {
      double[] scores = scores(outputs);
      double[] slopes = new double[scores.length];
      List<Range> groups =
          Groups.startingWith(SequenceRole.POSITIVE, tags).stream()
              .filter(group -> group.size() >= smallestGroup)
              .toList();
      double loss = 0;
      for (Range group : groups) {
        double[] logits = Arrays.copyOfRange(scores, group.start(), group.end());
        for (int i = 0; i < logits.length; i++) {
          logits[i] /= temperature;
        }
        loss += Numerics.crossEntropy(logits, 0, 1.0 / groups.size());
        for (int i = 0; i < logits.length; i++) {
          slopes[group.start() + i] = logits[i] / temperature;
        }
      }
      return new Result(loss, gradient(outputs, slopes));
    }
  }

  @Override
  default List<Map<String, Object>> predictions(double[][] outputs, List<SequenceTag> tags) {
    double[] scores = scores(outputs);
    return Groups.startingWith(SequenceRole.POSITIVE, tags).stream()
        .map(group -> Groups.scored(Arrays.copyOfRange(scores, group.start(), group.end())))
        .toList();
  }

  @Override
  default Measures measures(boolean evaluation) {
    return new RankingMeasures(this instanceof Listwise, evaluation);
  }

  /** Of each sequence. */
  static double[] scores(double[][] outputs) {
    return Arrays.stream(outputs)
        .mapToDouble(row -> row.length == 1 ? row[0] : row[0] - row[1])
        .toArray();
  }

  private static double[][] gradient(double[][] outputs, double[] slopes) {
    double[][] gradient = new double[outputs.length][];
    for (int s = 0; s < outputs.length; s++) {
      gradient[s] =
          outputs[s].length == 1 ? new double[] {slopes[s]} : new double[] {slopes[s], -slopes[s]};
    }
    return gradient;
  }
}
