package io.panatron.runtime.task;

import io.panatron.runtime.data.SequenceRole;
import io.panatron.runtime.data.SequenceTag;
import io.panatron.runtime.task.Groups.Range;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.jspecify.annotations.Nullable;

/**
 * InfoNCE: of each anchor {@code q} the cross-entropy of {@code [q D^T] / T} with its positive as
 * the target, where {@code D} are the unit vectors of the positives and negatives of all groups, or
 * of its own alone; the mean over the groups.
 *
 * <p>The sequences may be those of several ranks: the gradient is taken by those of {@code own}
 * alone, as if the others were constants, so that the mean of the ranks' gradients is what
 * Megatron-SWIFT's gathering gives.
 *
 * <p>Source: Megatron-SWIFT, {@code InfonceLoss}, but that negatives drawn once more are negatives.
 */
public record InfoNceLoss(Settings settings) implements SequenceLoss {

  /**
   * How groups are compared.
   *
   * @param temperature {@code T}
   * @param useBatch whether the sequences of other groups are negatives
   * @param hardNegatives how many negatives each group has: too few are drawn once more; null takes
   *     them as they are
   * @param maskFakeNegatives whether sequences that are closer to an anchor than its positive and
   *     {@code fakeNegativeMargin} are left out; only where other groups are negatives
   * @param includeQq whether other anchors are negatives, too
   * @param includeDd whether the positive is compared with all other sequences, too
   */
  public record Settings(
      double temperature,
      boolean useBatch,
      @Nullable Integer hardNegatives,
      boolean maskFakeNegatives,
      double fakeNegativeMargin,
      boolean includeQq,
      boolean includeDd) {}

  @Override
  public Result of(double[][] outputs, List<SequenceTag> tags) {
    return of(outputs, tags, 0, outputs.length);
  }

  /**
   * The loss over the sequences of all ranks.
   *
   * @param firstOwn where those of this rank start
   * @param endOwn where they end; the gradient has a row for each of them
   */
  public Result of(double[][] outputs, List<SequenceTag> tags, int firstOwn, int endOwn) {
    UnitVectors units = UnitVectors.of(outputs);
    Pass pass = new Pass(units.vectors(), groups(tags));
    double loss = 0;
    for (int g = 0; g < pass.groups.size(); g++) {
      loss += pass.compare(g);
    }
    units.backward(pass.gradient);
    return new Result(loss, Arrays.copyOfRange(pass.gradient, firstOwn, endOwn));
  }

  /**
   * An anchor and what it is compared with.
   *
   * @param documents the positive, then the negatives; a negative may stand more than once
   */
  private record Group(int anchor, int[] documents) {}

  private List<Group> groups(List<SequenceTag> tags) {
    List<Group> groups = new ArrayList<>();
    Integer wanted = settings.hardNegatives();
    for (Range range : Groups.startingWith(SequenceRole.ANCHOR, tags)) {
      int present = range.size() - 1;
      int[] documents = new int[wanted == null ? present : 1 + wanted];
      // Which are drawn once more follows from where the group stands, so that a run repeats.
      SplittableRandom random = new SplittableRandom(range.start());
      for (int i = 0; i < documents.length; i++) {
        int document = i < present ? i : 1 + random.nextInt(present - 1);
        documents[i] = range.start() + 1 + document;
      }
      groups.add(new Group(range.start(), documents));
    }
    return groups;
  }

  /** One computation of the loss; the gradient is by unit vectors. */
  private final class Pass {
    private final double[][] vectors;
    private final List<Group> groups;
    private final int[] allDocuments;
    private final int[] starts;
    private final double[][] gradient;

    Pass(double[][] vectors, List<Group> groups) {
      this.vectors = vectors;
      this.groups = groups;
      this.gradient = new double[vectors.length][vectors.length == 0 ? 0 : vectors[0].length];
      allDocuments = groups.stream().flatMapToInt(g -> Arrays.stream(g.documents)).toArray();
      starts = new int[groups.size()];
      for (int g = 1; g < starts.length; g++) {
        starts[g] = starts[g - 1] + groups.get(g - 1).documents.length;
      }
    }

    /** Adds the gradient of a group's share of the loss and returns that. */
    double compare(int g) {
      Group group = groups.get(g);
      boolean batch = settings.useBatch();
      int[] documents = batch ? allDocuments : group.documents;
      int target = batch ? starts[g] : 0;
      int qq = batch && settings.includeQq() ? groups.size() : 0;
      int dd = batch && settings.includeDd() ? documents.length : 0;
      double[] scores = new double[documents.length + qq + dd];
      for (int i = 0; i < documents.length; i++) {
        scores[i] = Numerics.dot(vectors[group.anchor], vectors[documents[i]]);
      }
      for (int i = 0; i < qq; i++) {
        int other = groups.get(i).anchor;
        scores[documents.length + i] =
            i == g ? Double.NEGATIVE_INFINITY : Numerics.dot(vectors[group.anchor], vectors[other]);
      }
      if (batch && settings.maskFakeNegatives()) {
        mask(scores, documents.length + qq, scores[target] + settings.fakeNegativeMargin());
      }
      int positive = group.documents[0];
      for (int i = 0; i < dd; i++) {
        scores[documents.length + qq + i] =
            i == target
                ? Double.NEGATIVE_INFINITY
                : Numerics.dot(vectors[positive], vectors[documents[i]]);
      }
      for (int i = 0; i < scores.length; i++) {
        scores[i] /= settings.temperature();
      }
      double loss = Numerics.crossEntropy(scores, target, 1.0 / groups.size());
      for (int i = 0; i < scores.length; i++) {
        int part = i - documents.length;
        int left = part < qq ? group.anchor : positive;
        int right =
            part < 0 ? documents[i] : part < qq ? groups.get(part).anchor : documents[part - qq];
        product(left, right, scores[i] / settings.temperature());
      }
      return loss;
    }

    private void product(int left, int right, double slope) {
      if (slope != 0) {
        Numerics.addScaled(gradient[left], slope, vectors[right]);
        Numerics.addScaled(gradient[right], slope, vectors[left]);
      }
    }

    private static void mask(double[] scores, int count, double threshold) {
      for (int i = 0; i < count; i++) {
        if (scores[i] > threshold) {
          scores[i] = Double.NEGATIVE_INFINITY;
        }
      }
    }
  }

  @Override
  public List<Map<String, Object>> predictions(double[][] outputs, List<SequenceTag> tags) {
    double[][] vectors = UnitVectors.of(outputs).vectors();
    List<Map<String, Object>> rows = new ArrayList<>();
    for (Range group : Groups.startingWith(SequenceRole.ANCHOR, tags)) {
      double[] similarities = new double[group.size() - 1];
      for (int i = 0; i < similarities.length; i++) {
        similarities[i] = Numerics.dot(vectors[group.start()], vectors[group.start() + 1 + i]);
      }
      rows.add(Groups.scored(similarities));
    }
    return rows;
  }

  @Override
  public Measures measures(boolean evaluation) {
    return evaluation ? new Margins(settings.useBatch()) : new NoMeasures();
  }
}
