package io.panatron.runtime.observe;

import static org.assertj.core.api.Assertions.assertThat;

import io.panatron.runtime.observe.LengthStatistics.LengthClass;
import org.junit.jupiter.api.Test;

class LengthStatisticsTest {
  private static LengthStatistics of(int... lengths) {
    LengthStatistics statistics = new LengthStatistics();
    for (int length : lengths) {
      statistics.add(length);
    }
    return statistics;
  }

  @Test
  void classesDoubleAndEndWithTheirGreatestLength() {
    assertThat(of(3, 4, 5, 8, 9, 33).histogram())
        .containsExactly(
            new LengthClass(4, 2),
            new LengthClass(8, 2),
            new LengthClass(16, 1),
            new LengthClass(32, 0),
            new LengthClass(64, 1));
  }

  @Test
  void theShortestAndTheLongestPossibleHaveTheirClass() {
    assertThat(of(1, 1).histogram()).containsExactly(new LengthClass(1, 2));
    assertThat(of(Integer.MAX_VALUE).histogram())
        .containsExactly(new LengthClass(Integer.MAX_VALUE, 1));
  }

  @Test
  void figuresAreThoseOfAllLengths() {
    LengthStatistics statistics = of(2, 4, 9);

    assertThat(statistics.count()).isEqualTo(3);
    assertThat(statistics.mean()).isEqualTo(5);
    assertThat(statistics.shortest()).isEqualTo(2);
    assertThat(statistics.longest()).isEqualTo(9);
  }

  @Test
  void nothingCountedIsNothing() {
    assertThat(of().histogram()).isEmpty();
    assertThat(of().mean()).isZero();
    assertThat(of().shortest()).isZero();
  }
}
