package io.panatron.runtime.data;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PackPlanTest {
  @Property
  void everySampleIsInOnePackAndNoPackIsTooLong(
      @ForAll @Size(max = 3000) List<@IntRange(max = 100) Integer> given,
      @ForAll @IntRange(min = 1, max = 4) int parts) {
    int[] lengths = given.stream().mapToInt(Integer::intValue).toArray();
    PackPlan plan = PackPlan.of(lengths, 100, parts);
    assertThat(plan.samples().clone()).hasSize(lengths.length);
    int[] sorted = plan.samples().clone();
    Arrays.sort(sorted);
    assertThat(sorted).isEqualTo(IntStream.range(0, lengths.length).toArray());
    for (int i = 0; i < plan.packs(); i++) {
      assertThat(plan.pack(i)).isNotEmpty();
      assertThat(IntStream.of(plan.pack(i)).map(s -> lengths[s]).sum()).isLessThanOrEqualTo(100);
    }
  }

  @Test
  void eachSampleGoesIntoTheFullestPackWithRoom() {
    PackPlan plan = PackPlan.of(new int[] {3, 6, 4, 7, 2, 5}, 10, 1);
    assertThat(IntStream.range(0, plan.packs()).mapToObj(plan::pack))
        .containsExactly(new int[] {3, 0}, new int[] {1, 2}, new int[] {5, 4});
  }

  @Test
  void partsOfTheDataArePackedApart() {
    PackPlan plan = PackPlan.of(new int[] {5, 5, 5, 5}, 20, 2);
    assertThat(IntStream.range(0, plan.packs()).mapToObj(plan::pack))
        .containsExactly(new int[] {0, 1}, new int[] {2, 3});
  }

  /** Log-normal lengths, median 300 and sigma 1, none above 4,096. */
  @Test
  void aMillionSamplesFillPacksToNinetyNinePercent() {
    Random random = new Random(7);
    int[] lengths =
        IntStream.generate(() -> (int) Math.round(300 * Math.exp(random.nextGaussian())))
            .filter(n -> n >= 1 && n <= 4096)
            .limit(1_000_000)
            .toArray();
    PackPlan plan = PackPlan.of(lengths, 8192, 1);
    double filled = IntStream.of(lengths).asLongStream().sum() / (plan.packs() * 8192.0);
    assertThat(filled).isGreaterThanOrEqualTo(0.99);
  }

  @Test
  void packsAreKeptAndDamagedOnesMadeAgain(@TempDir Path folder) throws IOException {
    int[] lengths = new Random(5).ints(2500, 1, 100).toArray();
    PackPlan expected = PackPlan.of(lengths, 128, 1);
    assertSame(PackCache.plan(folder, lengths, 128, 1), expected);
    Path file;
    try (Stream<Path> files = Files.list(folder)) {
      file = files.findFirst().orElseThrow();
    }
    byte[] whole = Files.readAllBytes(file);
    byte[] torn = Arrays.copyOf(whole, whole.length / 2);
    byte[] flipped = whole.clone();
    flipped[whole.length / 3] ^= 4;
    for (byte[] content : new byte[][] {whole, torn, flipped, {}}) {
      Files.write(file, content);
      assertSame(PackCache.plan(folder, lengths, 128, 1), expected);
      assertThat(Files.readAllBytes(file)).isEqualTo(whole);
    }
    PackCache.plan(folder, lengths, 129, 1);
    try (Stream<Path> files = Files.list(folder)) {
      assertThat(files).hasSize(2);
    }
  }

  private static void assertSame(PackPlan actual, PackPlan expected) {
    assertThat(actual.samples()).isEqualTo(expected.samples());
    assertThat(actual.starts()).isEqualTo(expected.starts());
  }
}
