package io.panatron.runtime.task;

import io.panatron.runtime.data.SequenceRole;
import io.panatron.runtime.data.SequenceTag;
import io.panatron.runtime.task.Groups.Range;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * {@code acc}: pointwise the share of documents whose score has the right sign, listwise the share
 * of groups whose positive has the largest score. An evaluation also has {@code mrr}, the mean of 1
 * / rank of the positive in its group, and {@code ndcg}, that of 1 / log2(rank + 1), over the
 * groups with a negative.
 */
final class RankingMeasures implements Measures {
  private final boolean listwise;
  private final boolean evaluation;
  private Mean accuracy = Mean.NONE;
  private Mean reciprocalRank = Mean.NONE;
  private Mean gain = Mean.NONE;

  RankingMeasures(boolean listwise, boolean evaluation) {
    this.listwise = listwise;
    this.evaluation = evaluation;
  }

  @Override
  public void add(double[][] outputs, List<SequenceTag> tags) {
    double[] scores = RankingLoss.scores(outputs);
    if (!listwise) {
      for (int s = 0; s < scores.length; s++) {
        accuracy = accuracy.plus(scores[s] > 0 == tags.get(s).label() > 0 ? 1 : 0);
      }
    }
    for (Range group : Groups.startingWith(SequenceRole.POSITIVE, tags)) {
      int rank = 1;
      for (int s = group.start() + 1; s < group.end(); s++) {
        rank += scores[s] > scores[group.start()] ? 1 : 0;
      }
      if (listwise) {
        accuracy = accuracy.plus(rank == 1 ? 1 : 0);
      }
      if (group.size() > 1) {
        reciprocalRank = reciprocalRank.plus(1.0 / rank);
        gain = gain.plus(Math.log(2) / Math.log(rank + 1.0));
      }
    }
  }

  @Override
  public SortedMap<String, Mean> values() {
    SortedMap<String, Mean> values = new TreeMap<>();
    if (accuracy.count() > 0) {
      values.put("acc", accuracy);
    }
    if (evaluation && gain.count() > 0) {
      values.put("mrr", reciprocalRank);
      values.put("ndcg", gain);
    }
    return values;
  }
}
