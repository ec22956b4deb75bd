package io.panatron.kernels.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import io.panatron.kernels.AttentionLayout;
import org.junit.jupiter.params.ParameterizedTest;
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

  private static AttentionRanges ranges(int... starts) {
    return AttentionRanges.of(AttentionLayout.packed(starts), ONE_KEY_HEAD);
  }
}
