package io.panatron.runtime.task;

import io.panatron.runtime.data.SequenceTag;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * Pearson's and Spearman's correlation of the labels of pairs with the similarity of their unit
 * vectors: the cosine, the dot product, and the negative Euclidean and Manhattan distances.
 */
final class Correlations implements Measures {
  private final List<Double> labels = new ArrayList<>();
  private final Map<String, List<Double>> similarities = new LinkedHashMap<>();

  @Override
  public void add(double[][] outputs, List<SequenceTag> tags) {
    double[][] vectors = UnitVectors.of(outputs).vectors();
    for (int s = 0; s + 1 < vectors.length; s += 2) {
      labels.add(tags.get(s).label());
      double[] a = vectors[s];
      double[] b = vectors[s + 1];
      double squares = 0;
      double absolutes = 0;
      for (int i = 0; i < a.length; i++) {
        squares += (a[i] - b[i]) * (a[i] - b[i]);
        absolutes += Math.abs(a[i] - b[i]);
      }
      double dot = Numerics.dot(a, b);
      add("cosine", dot / Math.sqrt(Numerics.dot(a, a) * Numerics.dot(b, b)));
      add("dot_product", dot);
      add("euclidean", -Math.sqrt(squares));
      add("manhattan", -absolutes);
    }
  }

  private void add(String name, double similarity) {
    similarities.computeIfAbsent(name, n -> new ArrayList<>()).add(similarity);
  }

  @Override
  public SortedMap<String, Mean> values() {
    SortedMap<String, Mean> values = new TreeMap<>();
    double[] expected = array(labels);
    similarities.forEach((name, list) -> {
      double[] found = array(list);
      put(values, "pearson_" + name, pearson(expected, found));
      put(values, "spearman_" + name, pearson(ranks(expected), ranks(found)));
    });
    return values;
  }

  private static void put(SortedMap<String, Mean> values, String name, double value) {
    if (Double.isFinite(value)) {
      values.put(name, new Mean(value, 1));
    }
  }

  private static double[] array(List<Double> list) {
    return list.stream().mapToDouble(Double::doubleValue).toArray();
  }

  /** Not a number where one side does not vary. */
  static double pearson(double[] x, double[] y) {
    double meanX = Arrays.stream(x).average().orElse(0);
    double meanY = Arrays.stream(y).average().orElse(0);
    double xy = 0;
    double xx = 0;
    double yy = 0;
    for (int i = 0; i < x.length; i++) {
      xy += (x[i] - meanX) * (y[i] - meanY);
      xx += (x[i] - meanX) * (x[i] - meanX);
      yy += (y[i] - meanY) * (y[i] - meanY);
    }
    return xy / Math.sqrt(xx * yy);
  }

  /** Ranks from 1; equal numbers share the mean of theirs. */
  static double[] ranks(double[] values) {
    Integer[] order = new Integer[values.length];
    Arrays.setAll(order, i -> i);
    Arrays.sort(order, Comparator.comparingDouble(i -> values[i]));
    double[] ranks = new double[values.length];
    for (int from = 0; from < order.length; ) {
      int to = from + 1;
      while (to < order.length && values[order[to]] == values[order[from]]) {
        to++;
      }
      for (int i = from; i < to; i++) {
        ranks[order[i]] = (from + 1 + to) / 2.0;
      }
      from = to;
    }
    return ranks;
  }
}
