package io.panatron.runtime.task;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.panatron.runtime.data.SequenceRole;
import io.panatron.runtime.data.SequenceTag;
import io.panatron.runtime.data.SequenceTask.ProblemType;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class SequenceLossTest {
  private record Case(String name, SequenceLoss loss, int width, List<SequenceTag> tags) {
    @Override
    public String toString() {
      return name;
    }
  }

  private static SequenceTag tag(SequenceRole role, Double... labels) {
    return new SequenceTag(role, List.of(labels));
  }

  private static InfoNceLoss infoNce(
      boolean batch, Integer hard, boolean mask, double margin, boolean qq, boolean dd) {
    return new InfoNceLoss(new InfoNceLoss.Settings(0.3, batch, hard, mask, margin, qq, dd));
  }

  private static List<SequenceTag> groups(SequenceRole first, int... negatives) {
    List<SequenceTag> tags = new ArrayList<>();
    for (int count : negatives) {
      if (first == SequenceRole.ANCHOR) {
        tags.add(tag(first, 1.0));
      }
      tags.add(tag(SequenceRole.POSITIVE, 1.0));
      for (int i = 0; i < count; i++) {
        tags.add(tag(SequenceRole.NEGATIVE, 0.0));
      }
    }
    return tags;
  }

  private static List<SequenceTag> pairs(double... labels) {
    List<SequenceTag> tags = new ArrayList<>();
    for (double label : labels) {
      tags.add(tag(SequenceRole.ANCHOR, label));
      tags.add(tag(SequenceRole.POSITIVE, label));
    }
    return tags;
  }

  static List<Case> cases() {
    List<SequenceTag> singles =
        List.of(
            tag(SequenceRole.SINGLE, 2.0),
            tag(SequenceRole.SINGLE, 0.0),
            tag(SequenceRole.SINGLE, 1.0));
    List<SequenceTag> sets =
        List.of(
            tag(SequenceRole.SINGLE),
            tag(SequenceRole.SINGLE, 0.0, 3.0),
            tag(SequenceRole.SINGLE, 1.0));
    List<SequenceTag> numbers =
        List.of(tag(SequenceRole.SINGLE, 0.5, -2.0), tag(SequenceRole.SINGLE, 3.0, 0.25));
    List<SequenceTag> uneven = groups(SequenceRole.ANCHOR, 2, 0, 3, 1);
    List<SequenceTag> some = groups(SequenceRole.ANCHOR, 2, 1, 3);
    return List.of(
        new Case(
            "classes", new ClassificationLoss(ProblemType.SINGLE_LABEL_CLASSIFICATION), 3, singles),
        new Case("sets", new ClassificationLoss(ProblemType.MULTI_LABEL_CLASSIFICATION), 4, sets),
        new Case("numbers", new ClassificationLoss(ProblemType.REGRESSION), 2, numbers),
        new Case(
            "cosines", new PairLoss(PairLoss.Kind.COSINE_SIMILARITY), 5, pairs(0.7, -0.2, 1, 0)),
        new Case("contrasts", new PairLoss(PairLoss.Kind.CONTRASTIVE), 5, pairs(1, 0, 0, 1, 0)),
        new Case(
            "hard contrasts",
            new PairLoss(PairLoss.Kind.ONLINE_CONTRASTIVE),
            2,
            pairs(1, 0, 0, 1, 0, 1, 1, 0)),
        new Case(
            "one pair of each label",
            new PairLoss(PairLoss.Kind.ONLINE_CONTRASTIVE),
            2,
            pairs(1, 0)),
        new Case(
            "pairs of one label",
            new PairLoss(PairLoss.Kind.ONLINE_CONTRASTIVE),
            2,
            pairs(1, 1, 1)),
        new Case("infonce", infoNce(true, null, false, 0, false, false), 4, uneven),
        new Case("infonce of groups", infoNce(false, null, false, 0, false, false), 4, some),
        new Case("infonce, qq and dd", infoNce(true, null, false, 0, true, true), 4, uneven),
        new Case("infonce, masked", infoNce(true, null, true, 0.05, true, true), 4, uneven),
        new Case("infonce, negatives twice", infoNce(true, 3, false, 0, false, true), 4, some),
        new Case("pointwise", new RankingLoss.Pointwise(), 1, groups(SequenceRole.POSITIVE, 2, 0)),
        new Case(
            "pointwise of tokens",
            new RankingLoss.Pointwise(),
            2,
            groups(SequenceRole.POSITIVE, 1, 3)),
        new Case(
            "listwise",
            new RankingLoss.Listwise(0.5, 2),
            1,
            groups(SequenceRole.POSITIVE, 2, 0, 3)),
        new Case(
            "listwise without a group",
            new RankingLoss.Listwise(1, 9),
            1,
            groups(SequenceRole.POSITIVE, 2, 1)));
  }

  private static double[][] outputs(Case c, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    double[][] outputs = new double[c.tags.size()][];
    for (int s = 0; s < outputs.length; s++) {
      outputs[s] = random.doubles(c.width, -2, 2).toArray();
    }
    return outputs;
  }

  @ParameterizedTest
  @MethodSource("cases")
  void gradientsAreDifferenceQuotients(Case c) {
    double step = 1e-6;
    for (long seed = 1; seed <= 5; seed++) {
      double[][] outputs = outputs(c, seed);
      double[][] gradient = c.loss.of(outputs, c.tags).gradient();
      for (double[] row : outputs) {
        assertThat(gradient.length).isEqualTo(outputs.length);
        int s = java.util.Arrays.asList(outputs).indexOf(row);
        for (int i = 0; i < row.length; i++) {
          double centre = row[i];
          row[i] = centre + step;
          double above = c.loss.of(outputs, c.tags).loss();
          row[i] = centre - step;
          double below = c.loss.of(outputs, c.tags).loss();
          row[i] = centre;
          // Losses of order 1 have 16 digits, of which a step of 1e-6 leaves 9.
          assertThat(gradient[s][i])
              .as("seed %d, output %d of sequence %d", seed, i, s)
              .isCloseTo((above - below) / (2 * step), within(2e-8));
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void outputsStayAsTheyAre(Case c) {
    double[][] outputs = outputs(c, 3);
    c.loss.of(outputs, c.tags);
    c.loss.measures(true).add(outputs, c.tags);

    assertThat(outputs).isDeepEqualTo(outputs(c, 3));
  }

  /** Ranks that each take the gradient by their own sequences add up to one that has all. */
  @Test
  void sequencesOfOtherRanksAreConstants() {
    InfoNceLoss loss = infoNce(true, null, false, 0, true, true);
    List<SequenceTag> tags = groups(SequenceRole.ANCHOR, 2, 0, 3, 1);
    Case c = new Case("", loss, 4, tags);
    double[][] outputs = outputs(c, 1);
    SequenceLoss.Result whole = loss.of(outputs, tags);
    SequenceLoss.Result first = loss.of(outputs, tags, 0, 6);
    SequenceLoss.Result second = loss.of(outputs, tags, 6, outputs.length);

    assertThat(first.loss()).isEqualTo(whole.loss()).isEqualTo(second.loss());
    assertThat(Stream.of(first.gradient(), second.gradient()).flatMap(Stream::of).toArray())
        .isEqualTo(whole.gradient());
  }

  @Test
  void aLossThatIsNoNumberIsNotHidden() {
    for (Case c : cases()) {
      double[][] outputs = outputs(c, 1);
      outputs[0][0] = Double.NaN;
      if (!c.name.equals("listwise without a group")
          && !c.name.contains("pair")
          && !c.name.equals("hard contrasts")) {
        assertThat(c.loss.of(outputs, c.tags).loss()).as(c.name).isNaN();
      }
    }
  }

  private static Map<String, Double> measured(
      SequenceLoss loss, List<SequenceTag> tags, double[]... outputs) {
    Measures measures = loss.measures(true);
    measures.add(outputs, tags);
    Map<String, Double> values = new java.util.TreeMap<>();
    measures.values().forEach((name, mean) -> values.put(name, mean.value()));
    return values;
  }

  @Test
  void rankingsAreMeasuredByTheRankOfThePositive() {
    List<SequenceTag> tags = groups(SequenceRole.POSITIVE, 2, 0, 3);
    double[][] scores = {{1}, {2}, {-1}, {-5}, {3}, {0}, {1}, {2}};

    Map<String, Double> listwise = measured(new RankingLoss.Listwise(1, 2), tags, scores);
    Map<String, Double> pointwise = measured(new RankingLoss.Pointwise(), tags, scores);

    // Ranks 2 and 1; the group of one counts for the accuracy alone.
    assertThat(listwise.get("acc")).isCloseTo(2 / 3.0, within(1e-15));
    assertThat(listwise.get("mrr")).isEqualTo(0.75);
    assertThat(listwise.get("ndcg")).isCloseTo((Math.log(2) / Math.log(3) + 1) / 2, within(1e-15));
    assertThat(pointwise.get("acc")).isEqualTo(4 / 8.0);
  }

  @Test
  void classificationsAreMeasuredByWhatIsRight() {
    List<SequenceTag> one = List.of(tag(SequenceRole.SINGLE, 1.0), tag(SequenceRole.SINGLE, 0.0));
    assertThat(
            measured(
                new ClassificationLoss(ProblemType.SINGLE_LABEL_CLASSIFICATION),
                one,
                new double[] {0, 1},
                new double[] {0, 1}))
        .containsExactly(Map.entry("acc", 0.5));
    assertThat(
            measured(
                new ClassificationLoss(ProblemType.MULTI_LABEL_CLASSIFICATION),
                List.of(tag(SequenceRole.SINGLE, 1.0), tag(SequenceRole.SINGLE)),
                new double[] {-1, 1},
                new double[] {-1, 1}))
        .containsExactly(Map.entry("acc", 0.5));
    assertThat(
            measured(
                new ClassificationLoss(ProblemType.REGRESSION),
                one,
                new double[] {3},
                new double[] {1}))
        .containsExactly(Map.entry("mse", 2.5));
  }

  @Test
  void vectorsAreMeasuredByTheirSimilarities() {
    List<SequenceTag> tags = groups(SequenceRole.ANCHOR, 1, 1);
    double[][] vectors = {{2, 0}, {3, 0}, {0, 1}, {0, 5}, {0.6, 0.8}, {1, 0}};

    // Positives 1 and 0.8; of other sequences 0, 0.6, 1 and 1, 0, 0.
    assertThat(measured(infoNce(true, null, false, 0, false, false), tags, vectors))
        .satisfies(values -> {
          assertThat(values.get("mean_pos")).isCloseTo(0.9, within(1e-15));
          assertThat(values.get("mean_neg")).isCloseTo(2.6 / 6, within(1e-15));
          assertThat(values.get("margin")).isCloseTo((1 - 1 + 0.8 - 1) / 2, within(1e-15));
        });
    assertThat(measured(infoNce(false, null, false, 0, false, false), tags, vectors))
        .satisfies(values -> {
          assertThat(values.get("mean_neg")).isCloseTo(0, within(1e-15));
          assertThat(values.get("margin")).isCloseTo(0.9, within(1e-15));
        });
  }

  @Test
  void correlationsAreThoseOfLabelsAndSimilarities() {
    double[][] vectors = {{1, 0}, {1, 0}, {1, 0}, {0, 1}, {1, 0}, {-1, 0}};
    SequenceLoss loss = new PairLoss(PairLoss.Kind.COSINE_SIMILARITY);

    Map<String, Double> rising = measured(loss, pairs(1, 0, -1), vectors);
    Map<String, Double> constant = measured(loss, pairs(1, 1, 1), vectors);

    assertThat(rising.keySet())
        .containsExactlyInAnyOrder(
            "pearson_cosine",
            "pearson_dot_product",
            "pearson_euclidean",
            "pearson_manhattan",
            "spearman_cosine",
            "spearman_dot_product",
            "spearman_euclidean",
            "spearman_manhattan");
    assertThat(rising.get("pearson_cosine")).isCloseTo(1, within(1e-15));
    assertThat(rising.get("spearman_euclidean")).isCloseTo(1, within(1e-15));
    // Manhattan distances 0, 2 and 2 share a rank.
    assertThat(rising.get("spearman_manhattan")).isCloseTo(Math.sqrt(0.75), within(1e-15));
    // Distances 0, sqrt(2) and 2 are not on a line.
    assertThat(rising.get("pearson_euclidean")).isBetween(0.97, 0.99);
    assertThat(constant).isEmpty();
    assertThat(Correlations.ranks(new double[] {5, 1, 5, 0})).containsExactly(3.5, 2, 3.5, 1);
  }
}
