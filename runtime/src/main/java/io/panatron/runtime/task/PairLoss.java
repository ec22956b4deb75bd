package io.panatron.runtime.task;

import io.panatron.runtime.data.SequenceTag;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The losses of {@code --task_type embedding} that compare an anchor with one other sequence, of
 * the cosine {@code c} of their hidden states, {@code d = 1 - c}, and a label {@code y}:
 *
 * <ul>
 *   <li>cosine similarity: the mean of {@code (c - y)^2};
 *   <li>contrastive: the mean of {@code (y d^2 + (1 - y) max(1/2 - d, 0)^2) / 2};
 *   <li>online contrastive: the sum of {@code d^2} over the pairs of label 1 that are further apart
 *       than the closest pair of label 0, and of {@code max(1/2 - d, 0)^2} over the pairs of label
 *       0 that are closer than the furthest pair of label 1. With fewer than two pairs of the other
 *       label the mean distance of a pair's own label takes the place of the other's extreme.
 * </ul>
 *
 * <p>Source: sentence-transformers, as Megatron-SWIFT uses it.
 */
public record PairLoss(Kind kind) implements SequenceLoss {
  private static final double MARGIN = 0.5;

  /** {@code --loss_type}. */
  public enum Kind {
    COSINE_SIMILARITY,
    CONTRASTIVE,
    ONLINE_CONTRASTIVE
  }

  @Override
  public Result of(double[][] outputs, List<SequenceTag> tags) {
    UnitVectors units = UnitVectors.of(outputs);
    double[][] vectors = units.vectors();
    int pairs = outputs.length / 2;
    double[] cosines = new double[pairs];
    double[] labels = new double[pairs];
    for (int p = 0; p < pairs; p++) {
      cosines[p] = Numerics.dot(vectors[2 * p], vectors[2 * p + 1]);
      labels[p] = tags.get(2 * p).label();
    }
    double[] slopes = new double[pairs];
    double loss =
        switch (kind) {
          case COSINE_SIMILARITY -> cosineSimilarity(cosines, labels, slopes);
          case CONTRASTIVE -> contrastive(cosines, labels, slopes);
          case ONLINE_CONTRASTIVE -> onlineContrastive(cosines, labels, slopes);
        };
    double[][] gradient = new double[outputs.length][outputs.length == 0 ? 0 : outputs[0].length];
    for (int p = 0; p < pairs; p++) {
      Numerics.addScaled(gradient[2 * p], slopes[p], vectors[2 * p + 1]);
      Numerics.addScaled(gradient[2 * p + 1], slopes[p], vectors[2 * p]);
    }
    units.backward(gradient);
    return new Result(loss, gradient);
  }

  /** Writes the derivative of the loss by each cosine. */
  private static double cosineSimilarity(double[] cosines, double[] labels, double[] slopes) {
    double loss = 0;
    for (int p = 0; p < cosines.length; p++) {
      double error = cosines[p] - labels[p];
      loss += error * error / cosines.length;
      slopes[p] = 2 * error / cosines.length;
    }
    return loss;
  }

  private static double contrastive(double[] cosines, double[] labels, double[] slopes) {
    double loss = 0;
    for (int p = 0; p < cosines.length; p++) {
      double distance = 1 - cosines[p];
      double close = Math.max(MARGIN - distance, 0);
      double share = 0.5 / cosines.length;
      loss += share * (labels[p] * distance * distance + (1 - labels[p]) * close * close);
      slopes[p] = -2 * share * (labels[p] * distance - (1 - labels[p]) * close);
    }
    return loss;
  }

  private static double onlineContrastive(double[] cosines, double[] labels, double[] slopes) {
    Distances apart = Distances.of(cosines, labels, 0);
    Distances together = Distances.of(cosines, labels, 1);
    double furthest = together.count > 1 ? together.largest : apart.mean();
    double closest = apart.count > 1 ? apart.smallest : together.mean();
    double loss = 0;
    for (int p = 0; p < cosines.length; p++) {
      double distance = 1 - cosines[p];
      if (labels[p] == 1 && distance > closest) {
        loss += distance * distance;
        slopes[p] = -2 * distance;
      } else if (labels[p] == 0 && distance < furthest) {
        double close = Math.max(MARGIN - distance, 0);
        loss += close * close;
        slopes[p] = 2 * close;
      }
    }
    return loss;
  }

  /** What is known of the distances of the pairs with one label. */
  private record Distances(int count, double sum, double smallest, double largest) {
    static Distances of(double[] cosines, double[] labels, double label) {
      int count = 0;
      double sum = 0;
      double smallest = Double.POSITIVE_INFINITY;
      double largest = Double.NEGATIVE_INFINITY;
      for (int p = 0; p < cosines.length; p++) {
        if (labels[p] == label) {
          count++;
          sum += 1 - cosines[p];
          smallest = Math.min(smallest, 1 - cosines[p]);
          largest = Math.max(largest, 1 - cosines[p]);
        }
      }
      return new Distances(count, sum, smallest, largest);
    }

    /** Not a number where there are none, and then no pair is compared with it. */
    double mean() {
      return sum / count;
    }
  }

  @Override
  public List<Map<String, Object>> predictions(double[][] outputs, List<SequenceTag> tags) {
    double[][] vectors = UnitVectors.of(outputs).vectors();
    List<Map<String, Object>> rows = new ArrayList<>();
    for (int s = 0; s + 1 < vectors.length; s += 2) {
      Map<String, Object> row = new LinkedHashMap<>();
      row.put("label", tags.get(s).label());
      row.put("similarity", Numerics.dot(vectors[s], vectors[s + 1]));
      rows.add(row);
    }
    return rows;
  }

  @Override
  public Measures measures(boolean evaluation) {
    return evaluation ? new Correlations() : new NoMeasures();
  }
}
