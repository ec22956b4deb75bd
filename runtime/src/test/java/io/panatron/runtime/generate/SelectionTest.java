package io.panatron.runtime.generate;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;

class SelectionTest {
  /** Few distinct weights, so that there are ties; eighths, so that sums are exact. */
  private static double[] weights(int count, long seed, int distinct) {
    Random random = new Random(seed);
    return random.doubles(count).map(x -> Math.floor(x * distinct) / 8).toArray();
  }

  private static List<Integer> descending(double[] weights) {
    List<Integer> order = new ArrayList<>(IntStream.range(0, weights.length).boxed().toList());
    order.sort(
        Comparator.comparingDouble((Integer i) -> weights[i]).thenComparingInt(i -> i).reversed());
    return order;
  }

  @Property
  void theKthLargestIsThatOfASort(
      @ForAll @IntRange(min = 1, max = 60) int count,
      @ForAll @IntRange(min = 1, max = 60) int rank,
      @ForAll @IntRange(min = 1, max = 40) int distinct,
      @ForAll long seed) {
    double[] weights = weights(count, seed, distinct);
    int k = Math.min(rank, count);
    double expected = weights[descending(weights).get(k - 1)];
    int[] ids = IntStream.range(0, count).toArray();
    assertThat(Selection.kthLargest(weights, ids, count, k)).isEqualTo(expected);
  }

  @Property
  void theLargestWithAMassAreThoseOfASort(
      @ForAll @IntRange(min = 1, max = 60) int count,
      @ForAll @IntRange(min = 1, max = 1000) int permille,
      @ForAll @IntRange(min = 1, max = 40) int distinct,
      @ForAll long seed) {
    double[] weights = weights(count, seed, distinct);
    double mass = IntStream.range(0, count).mapToDouble(i -> weights[i]).sum() * permille / 1000;
    List<Integer> order = descending(weights);
    int needed = 1;
    double sum = weights[order.getFirst()];
    while (sum < mass) {
      sum += weights[order.get(needed++)];
    }
    int[] ids = IntStream.range(0, count).toArray();
    int found = Selection.largestWithMass(weights, ids, count, mass);
    assertThat(found).isEqualTo(needed);
    assertThat(IntStream.range(0, found).map(i -> ids[i]).boxed().toList())
        .containsExactlyInAnyOrderElementsOf(order.subList(0, needed));
    assertThat(ids[found - 1]).isEqualTo(order.get(needed - 1));
  }
}
