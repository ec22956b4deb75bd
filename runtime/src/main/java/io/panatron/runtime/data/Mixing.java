package io.panatron.runtime.data;

import io.panatron.runtime.UserError;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * How several data sets are mixed: {@code --interleave_prob} and {@code --stopping_strategy}. Each
 * sample comes from a data set drawn by its probability, which gives its own samples in order and
 * starts again at its end.
 *
 * @param probabilities one for each data set; they sum to one
 * @param untilAll whether mixing ends once every data set has been read to its end, rather than the
 *     first one
 */
public record Mixing(List<Double> probabilities, boolean untilAll) {
  /** Probabilities as people write them, such as three times 0.333333. */
  private static final double TOLERANCE = 1e-5;

  private static final double STEPS = 0x1p32;

  public Mixing {
    probabilities = List.copyOf(probabilities);
  }

  /** Reads the parameters; null if there are no probabilities, which means one after the other. */
  public static @Nullable Mixing parse(List<String> given, String stopping, int dataSets) {
    if (given.isEmpty()) {
      return null;
    }
    List<Double> probabilities = new ArrayList<>();
    double sum = 0;
    for (String text : given) {
      double p;
      try {
        p = Double.parseDouble(text);
      } catch (NumberFormatException e) {
        p = Double.NaN;
      }
      if (!(p > 0 && p <= 1)) {
        throw new UserError(
            "--interleave_prob has '" + text + "' where a number above 0 and up to 1 belongs");
      }
      probabilities.add(p);
      sum += p;
    }
    if (given.size() != dataSets || Math.abs(sum - 1) > TOLERANCE) {
      throw new UserError(
          "--interleave_prob has "
              + given.size()
              + " numbers with a sum of "
              + sum
              + " for "
              + dataSets
              + " data sets; give one number for each --dataset, 1 in all");
    }
    return new Mixing(probabilities, stopping.equals("all_exhausted"));
  }

  /** Which data set the next sample comes from. */
  int draw(TorchRandom random) {
    double u = random.next() / STEPS;
    int last = probabilities.size() - 1;
    for (int i = 0; i < last; i++) {
      u -= probabilities.get(i);
      if (u < 0) {
        return i;
      }
    }
    return last;
  }

  /** One list made of the items of several, none of which is empty. */
  int[] mix(List<int[]> sets, TorchRandom random) {
    int[] mixed = new int[1024];
    int n = 0;
    int[] next = new int[sets.size()];
    boolean[] ended = new boolean[sets.size()];
    while (!isOver(ended)) {
      int source = draw(random);
      int[] set = sets.get(source);
      if (n == mixed.length) {
        if (n >= TorchRandom.MAX_PERMUTATION / 2) {
          throw new UserError(
              "--stopping_strategy all_exhausted with --interleave_prob "
                  + probabilities
                  + " repeats small data sets until there are over "
                  + n
                  + " samples; give the large ones a greater probability");
        }
        mixed = Arrays.copyOf(mixed, n * 2);
      }
      mixed[n++] = set[next[source]++];
      if (next[source] == set.length) {
        next[source] = 0;
        ended[source] = true;
      }
    }
    return Arrays.copyOf(mixed, n);
  }

  /** Whether mixing is over when these data sets have been read to their ends. */
  boolean isOver(boolean[] ended) {
    for (boolean end : ended) {
      if (end != untilAll) {
        return !untilAll;
      }
    }
    return untilAll;
  }
}
