package io.panatron.runtime.data;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;

/**
 * Chooses the sequences of a row that one draw of it trains, and cuts each to the token limit.
 *
 * <p>A row with more candidates than are asked for gives a random selection, in the order of the
 * row, that depends on {@code seed} and the draw alone.
 *
 * @param limit tokens of a sequence
 */
record SequenceChoice(SequenceTask task, Truncation truncation, int limit, long seed) {

  /** The chosen sequences as one sample. */
  EncodedSample choose(EncodedSample whole, long draw) {
    List<EncodedSample> all =
        whole.sequences().stream().map(s -> truncation.part(s, limit, 0)).toList();
    return SampleParts.join(
        switch (task) {
          case SequenceTask.Classification one -> all;
          case SequenceTask.Embedding pairs ->
              pairs.mostNegatives() == null
                  ? all
                  : all.subList(0, Math.min(all.size(), 2 + pairs.mostNegatives()));
          case SequenceTask.Reranking ranking -> groups(ranking, all, draw);
        });
  }

  private List<EncodedSample> groups(
      SequenceTask.Reranking ranking, List<EncodedSample> all, long draw) {
    int positives = (int) all.stream().filter(s -> s.tag().role() == SequenceRole.POSITIVE).count();
    SplittableRandom random =
        new SplittableRandom(seed * 0x9E3779B97F4A7C15L + draw * 0xD1342543DE82EF95L + 1);
    List<EncodedSample> chosen = new ArrayList<>();
    for (int positive : some(random, positives, ranking.mostPositives())) {
      chosen.add(all.get(positive));
      for (int negative : some(random, all.size() - positives, ranking.mostNegatives())) {
        chosen.add(all.get(positives + negative));
      }
    }
    return chosen;
  }

  /** At most {@code most} of the numbers below {@code count}, ascending. */
  private static int[] some(SplittableRandom random, int count, int most) {
    int[] numbers = new int[count];
    Arrays.setAll(numbers, i -> i);
    if (count <= most) {
      return numbers;
    }
    for (int i = 0; i < most; i++) {
      int other = i + random.nextInt(count - i);
      int swapped = numbers[i];
      numbers[i] = numbers[other];
      numbers[other] = swapped;
    }
    int[] taken = Arrays.copyOf(numbers, most);
    Arrays.sort(taken);
    return taken;
  }
}
