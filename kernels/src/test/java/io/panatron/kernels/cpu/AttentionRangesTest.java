package io.panatron.kernels.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import io.panatron.kernels.AttentionLayout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class AttentionRangesTest {
  private static final AttentionShape ONE_KEY_HEAD = new AttentionShape(3, 1, 8, 42);

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 255, 256, 511, 512, 1029, 2048, 4096, 10007})
  void theRangesOfASequenceCoverItsKeysOnce(int length) {
    AttentionRanges ranges = ranges(0, length);
    int expected = 0;
    for (int piece = 0; piece < ranges.count(); piece++) {
      assertThat(ranges.firstKey(piece)).isEqualTo(expected).isLessThan(ranges.endKey(piece));
      assertThat(ranges.firstKey(piece) % ONE_KEY_HEAD.queryBlock()).isZero();
      expected = ranges.endKey(piece);
    }
    assertThat(expected).isEqualTo(length);
  }

  @ParameterizedTest
  @ValueSource(ints = {2048, 4096, 16384})
  void noRangeOfALongSequenceHasMoreThanItsShareOfTheWork(int length) {
    AttentionRanges ranges = ranges(0, length);
    assertThat(ranges.count()).isEqualTo(8);
    for (int piece = 0; piece < ranges.count(); piece++) {
      double before = length - ranges.firstKey(piece);
      double after = length - ranges.endKey(piece);
      double share = (before * before - after * after) / ((double) length * length);
      // An eighth, and what cuts at query blocks may add.
      assertThat(share).isLessThan(0.125 + 2.0 * 42 / length);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {4096, 16384})
  void queryGradientsTakeMemoryInProportionToTheLength(int length) {
    long one = (long) length * ONE_KEY_HEAD.groupColumns();
    assertThat(ranges(0, length).queryGradientElements()).isLessThan(7 * one);
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 9, 10, 11, 19})
  void aQueryBelongsToTheSequenceThatHoldsIt(int query) {
    AttentionRanges ranges = ranges(0, 1, 1, 10, 20);
    int sequence = ranges.sequenceOf(query);
    assertThat(sequence).isEqualTo(query == 0 ? 0 : query < 10 ? 2 : 3);
  }

  @ParameterizedTest
  @CsvSource({"4096, 128", "4096, 1000", "10007, 1", "10007, 4096", "2048, 2047"})
  void underAWindowTheRangesShareTheWorkAndReachTheQueriesThatSeeThem(int length, int window) {
    AttentionRanges ranges =
        AttentionRanges.of(
            AttentionLayout.packed(new int[] {0, length}).withWindow(window), ONE_KEY_HEAD);
    assertThat(ranges.count()).isEqualTo(8);
    double all = (2.0 * length - window) * window;
    int expected = 0;
    for (int piece = 0; piece < ranges.count(); piece++) {
      int first = ranges.firstKey(piece);
      int end = ranges.endKey(piece);
      assertThat(first).isEqualTo(expected).isLessThan(end);
      double pairs = 0;
      for (int key = first; key < end; key++) {
        pairs += 2.0 * Math.min(window, length - key);
      }
      // An eighth, what cuts at query blocks may add, and the diagonal's other half.
      assertThat(pairs / all).isLessThan(0.125 + 2.0 * 42 / length + 2.0 / window / 8 + 0.002);
      int lastQuery = Math.min(length, end - 1 + window) - 1;
      assertThat(ranges.endQuery(piece)).isBetween(lastQuery + 1, lastQuery + 42);
      expected = end;
    }
    assertThat(expected).isEqualTo(length);
    assertThat(ranges.queryGradientElements())
        .isLessThanOrEqualTo((length + 8L * (window + 42)) * ONE_KEY_HEAD.groupColumns());
  }

  private static AttentionRanges ranges(int... starts) {
    return AttentionRanges.of(AttentionLayout.packed(starts), ONE_KEY_HEAD);
  }
}
