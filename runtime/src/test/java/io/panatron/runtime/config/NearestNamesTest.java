package io.panatron.runtime.config;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.AlphaChars;
import net.jqwik.api.constraints.StringLength;
import org.junit.jupiter.api.Test;

class NearestNamesTest {
  @Property(tries = 200)
  void distanceIsSymmetricAndZeroOnlyForEqualNames(
      @ForAll @AlphaChars @StringLength(max = 8) String a,
      @ForAll @AlphaChars @StringLength(max = 8) String b) {
    assertThat(NearestNames.distance(a, b)).isEqualTo(NearestNames.distance(b, a));
    assertThat(NearestNames.distance(a, b) == 0).isEqualTo(a.equals(b));
    assertThat(NearestNames.distance(a, b)).isLessThanOrEqualTo(Math.max(a.length(), b.length()));
  }

  @Test
  void swappedNeighboursAreOneMistake() {
    assertThat(NearestNames.distance("max_lenght", "max_length")).isEqualTo(1);
  }

  @Test
  void nearestNamesComeFirstAndFarOnesNotAtAll() {
    assertThat(NearestNames.of("ssave", List.of("load", "save", "shave", "dataset")))
        .startsWith("save")
        .doesNotContain("dataset");
  }
}
