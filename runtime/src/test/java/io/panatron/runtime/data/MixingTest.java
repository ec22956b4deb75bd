package io.panatron.runtime.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.panatron.runtime.UserError;
import java.util.List;
import java.util.Objects;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class MixingTest {
  private static final List<int[]> SETS =
      List.of(
          IntStream.range(0, 1000).toArray(),
          IntStream.range(1000, 1100).toArray(),
          IntStream.range(1100, 1200).toArray());

  private static int[] mix(boolean untilAll, String... probabilities) {
    Mixing mixing =
        Mixing.parse(
            List.of(probabilities), untilAll ? "all_exhausted" : "first_exhausted", SETS.size());
    return Objects.requireNonNull(mixing).mix(SETS, new TorchRandom(42));
  }

  @Test
  void mixingEndsWithTheFirstSetThatIsUsedUpAndKeepsEachInOrder() {
    int[] mixed = mix(false, "0.2", "0.5", "0.3");
    assertThat(mixed).endsWith(1099).doesNotHaveDuplicates();
    for (int[] set : SETS) {
      int[] own =
          IntStream.of(mixed).filter(i -> i >= set[0] && i <= set[set.length - 1]).toArray();
      assertThat(own).isSorted();
    }
    assertThat((double) IntStream.of(mixed).filter(i -> i < 1000).count() / mixed.length)
        .as("the share of a set drawn about 40 times of 200; five standard deviations are 0.14")
        .isBetween(0.06, 0.34);
    assertThat(mixed).isEqualTo(mix(false, "0.2", "0.5", "0.3"));
  }

  @Test
  void mixingUntilAllAreUsedUpRepeatsTheSmallOnes() {
    int[] mixed = mix(true, "0.5", "0.25", "0.25");
    assertThat(IntStream.of(mixed).distinct().count()).isEqualTo(1200);
    int[] second = IntStream.of(mixed).filter(i -> i >= 1000 && i < 1100).toArray();
    for (int i = 0; i < second.length; i++) {
      assertThat(second[i]).isEqualTo(1000 + i % 100);
    }
    assertThat(mixed).as("ends as soon as the largest does").endsWith(999);
  }

  @Test
  void probabilitiesThatMakeNoSenseAreUserErrors() {
    String[][] cases = {
      {"0.5", "0.5"}, {"0.5", "0.5", "0.5"}, {"1", "0", "0"}, {"x", "0.5", "0.5"}, {"-1", "1", "1"}
    };
    for (String[] c : cases) {
      assertThatThrownBy(() -> mix(false, c))
          .isInstanceOf(UserError.class)
          .hasMessageContaining("--interleave_prob has");
    }
    assertThat(Mixing.parse(List.of(), "first_exhausted", 3)).isNull();
  }
}
