package io.panatron.kernels.reference;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.panatron.kernels.DropoutMask;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The generator's known answers, and the statistics of the masks made from it. */
class ReferenceDropoutTest {
  private static final int ROWS = 200;
  private static final int COLUMNS = 500;

  /**
   * Deviations that a statistic may be from its mean. The masks are fixed, so this is drawn once: a
   * sound generator is this far off in one of a million draws.
   */
  private static final double DEVIATIONS = 5;

  /** Published with Random123; the third input is digits of pi. */
  @Test
  void threefryGivesItsKnownAnswers() {
    int[] zeros = new int[4];
    int[] ones = {-1, -1, -1, -1};
    int[] counter = {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344};
    int[] key = {0xa4093822, 0x299f31d0, 0x082efa98, 0xec4e6c89};
    assertThat(ReferenceDropout.threefry(13, zeros, zeros))
        .containsExactly(0x531c7e4f, 0x39491ee5, 0x2c855a92, 0x3d6abf9a);
    assertThat(ReferenceDropout.threefry(13, ones, ones))
        .containsExactly(0xc4189358, 0x1c9cc83a, 0xd5881c67, 0x6a0a89e0);
    assertThat(ReferenceDropout.threefry(13, counter, key))
        .containsExactly(0x4aa71d8f, 0x734738c2, 0x431fc6a8, 0xae6debf1);
    assertThat(ReferenceDropout.threefry(20, zeros, zeros))
        .containsExactly(0x9c6ca96a, 0xe17eae66, 0xfc10ecd4, 0x5256a7d8);
  }

  @ParameterizedTest
  @ValueSource(doubles = {0.01, 0.1, 0.5, 0.9})
  void asManyAreDroppedAsTheProbabilitySays(double probability) {
    boolean[] dropped = dropped(mask(probability));
    double deviation = Math.sqrt(probability * (1 - probability) / dropped.length);
    assertThat(share(dropped)).isCloseTo(probability, within(DEVIATIONS * deviation));
    // Every column and every row is dropped as often, not only all of them together.
    assertChiSquare(counts(dropped, true), ROWS, probability);
    assertChiSquare(counts(dropped, false), COLUMNS, probability);
  }

  @Test
  void whatIsKeptGrowsSoThatTheMeanStays() {
    DropoutMask mask = mask(0.2);
    double sum = 0;
    for (int i = 0; i < ROWS * COLUMNS; i++) {
      double factor = ReferenceDropout.factor(mask, i / COLUMNS, 0, i % COLUMNS);
      assertThat(factor).isIn(0.0, 1.25);
      sum += factor;
    }
    double deviation = Math.sqrt(0.2 / 0.8 / (ROWS * COLUMNS));
    assertThat(sum / (ROWS * COLUMNS)).isCloseTo(1, within(DEVIATIONS * deviation));
  }

  static Stream<DropoutMask> others() {
    return Stream.of(
        new DropoutMask(0.5, 43, 1, 0, 3, 0),
        new DropoutMask(0.5, 42L + (1L << 32), 1, 0, 3, 0),
        new DropoutMask(0.5, 42, 2, 0, 3, 0),
        new DropoutMask(0.5, 42, 1, 1, 3, 0),
        new DropoutMask(0.5, 42, 1, 0, 4, 0),
        new DropoutMask(0.5, 42, 1, 0, 3, 1));
  }

  @ParameterizedTest
  @MethodSource("others")
  void masksThatDifferInOneCoordinateAreIndependent(DropoutMask other) {
    boolean[] first = dropped(mask(0.5));
    assertIndependent(first, dropped(other), 0);
    assertIndependent(first, dropped(other), 1);
    assertIndependent(first, dropped(other), COLUMNS);
  }

  /** Lags within and between the words and counters of a block, and from row to row. */
  @ParameterizedTest
  @ValueSource(ints = {1, 2, 15, 16, 17, 32, 48, 63, 64, 65, COLUMNS, COLUMNS + 1, 4 * COLUMNS})
  void neighboursAreIndependent(int lag) {
    boolean[] dropped = dropped(mask(0.5));
    assertIndependent(dropped, dropped, lag);
  }

  /** How many of eight neighbours are dropped follows the binomial distribution. */
  @Test
  void runsOfEightAreBinomial() {
    boolean[] dropped = dropped(mask(0.5));
    double[] seen = new double[9];
    for (int i = 0; i + 8 <= dropped.length; i += 8) {
      int count = 0;
      for (int j = 0; j < 8; j++) {
        count += dropped[i + j] ? 1 : 0;
      }
      seen[count]++;
    }
    int[] ways = {1, 8, 28, 56, 70, 56, 28, 8, 1};
    double statistic = 0;
    for (int count = 0; count <= 8; count++) {
      double expected = dropped.length / 8.0 * ways[count] / 256;
      statistic += (seen[count] - expected) * (seen[count] - expected) / expected;
    }
    assertThat(statistic).isLessThan(8 + DEVIATIONS * Math.sqrt(2 * 8));
  }

  @Test
  void theThresholdIsTheProbabilityInTwoToTheThirtySecond() {
    assertThat(mask(0).threshold()).isZero();
    assertThat(mask(0.5).threshold()).isEqualTo(Integer.MIN_VALUE);
    assertThat(mask(Math.nextDown(1.0)).threshold()).isEqualTo(-1);
    assertThat(mask(0.1).threshold()).isEqualTo(429496730);
    for (double wrong : List.of(-0.1, 1.0, Double.NaN)) {
      assertThatThrownBy(() -> mask(wrong)).hasMessageContaining("at least 0 and below 1");
    }
  }

  private static DropoutMask mask(double probability) {
    return new DropoutMask(probability, 42, 1, 0, 3, 0);
  }

  private static boolean[] dropped(DropoutMask mask) {
    boolean[] dropped = new boolean[ROWS * COLUMNS];
    for (int i = 0; i < dropped.length; i++) {
      dropped[i] = ReferenceDropout.factor(mask, i / COLUMNS, 0, i % COLUMNS) == 0;
    }
    return dropped;
  }

  private static double share(boolean[] dropped) {
    int count = 0;
    for (boolean one : dropped) {
      count += one ? 1 : 0;
    }
    return (double) count / dropped.length;
  }

  private static List<Integer> counts(boolean[] dropped, boolean byColumn) {
    int[] counts = new int[byColumn ? COLUMNS : ROWS];
    for (int i = 0; i < dropped.length; i++) {
      counts[byColumn ? i % COLUMNS : i / COLUMNS] += dropped[i] ? 1 : 0;
    }
    List<Integer> list = new ArrayList<>();
    for (int count : counts) {
      list.add(count);
    }
    return list;
  }

  /** The sum of squared deviations of binomial counts: as many as there are, with this spread. */
  private static void assertChiSquare(List<Integer> counts, int draws, double probability) {
    double variance = draws * probability * (1 - probability);
    double statistic = 0;
    for (int count : counts) {
      statistic += Math.pow(count - draws * probability, 2) / variance;
    }
    // The variance of one term is 2 and the kurtosis of few draws.
    double spread = Math.sqrt(counts.size() * (2 + 1 / variance));
    assertThat(statistic).isCloseTo(counts.size(), within(DEVIATIONS * spread));
  }

  /** Two masks of one half agree in one half of their elements. */
  private static void assertIndependent(boolean[] first, boolean[] second, int lag) {
    int agree = 0;
    int pairs = first.length - lag;
    for (int i = 0; i < pairs; i++) {
      agree += first[i] == second[i + lag] ? 1 : 0;
    }
    assertThat((double) agree / pairs).isCloseTo(0.5, within(DEVIATIONS * 0.5 / Math.sqrt(pairs)));
  }
}
