package io.panatron.runtime.task;

import io.panatron.runtime.data.SequenceRole;
import io.panatron.runtime.data.SequenceTag;
import io.panatron.runtime.task.Groups.Range;
import java.util.ArrayList;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * Similarities of anchors with their positives ({@code mean_pos}), with the other sequences ({@code
 * mean_neg}), and by how much the positive is ahead of the closest of those ({@code margin}).
 */
final class Margins implements Measures {
  private final boolean acrossGroups;
  private final List<double[]> anchors = new ArrayList<>();
  private final List<double[]> documents = new ArrayList<>();
  private final List<Range> ranges = new ArrayList<>();

  /**
   * @param acrossGroups whether the sequences of other groups are negatives
   */
  Margins(boolean acrossGroups) {
    this.acrossGroups = acrossGroups;
  }

  @Override
  public void add(double[][] outputs, List<SequenceTag> tags) {
    double[][] vectors = UnitVectors.of(outputs).vectors();
    for (Range group : Groups.startingWith(SequenceRole.ANCHOR, tags)) {
      anchors.add(vectors[group.start()]);
      int first = documents.size();
      for (int s = group.start() + 1; s < group.end(); s++) {
        documents.add(vectors[s]);
      }
      ranges.add(new Range(first, documents.size()));
    }
  }

  @Override
  public SortedMap<String, Mean> values() {
    Mean positives = Mean.NONE;
    Mean negatives = Mean.NONE;
    Mean margins = Mean.NONE;
    for (int g = 0; g < anchors.size(); g++) {
      Range own = ranges.get(g);
      double positive = Numerics.dot(anchors.get(g), documents.get(own.start()));
      double closest = Double.NEGATIVE_INFINITY;
      int from = acrossGroups ? 0 : own.start();
      int to = acrossGroups ? documents.size() : own.end();
      for (int d = from; d < to; d++) {
        if (d != own.start()) {
          double negative = Numerics.dot(anchors.get(g), documents.get(d));
          negatives = negatives.plus(negative);
          closest = Math.max(closest, negative);
        }
      }
      positives = positives.plus(positive);
      if (closest > Double.NEGATIVE_INFINITY) {
        margins = margins.plus(positive - closest);
      }
    }
    SortedMap<String, Mean> values = new TreeMap<>();
    put(values, "margin", margins);
    put(values, "mean_neg", negatives);
    put(values, "mean_pos", positives);
    return values;
  }

  private static void put(SortedMap<String, Mean> values, String name, Mean mean) {
    if (mean.count() > 0) {
      values.put(name, mean);
    }
  }
}
