package io.panatron.runtime.data;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

class MicroBatchTest {
  private static final EncodedSample THREE =
      new EncodedSample(new int[] {5, 6, 7}, new float[] {0, 1, 2});
  private static final EncodedSample ONE = new EncodedSample(new int[] {8}, new float[] {1});
  private static final EncodedSample UNTRAINED =
      new EncodedSample(new int[] {9, 4}, new float[] {0, 0});
  private static final int NONE = MicroBatch.NO_LABEL;

  @Test
  void packedSequencesFollowEachOtherAndNeverPredictTheNextOne() {
    MicroBatch b = MicroBatch.packed(List.of(THREE, ONE, UNTRAINED), new int[] {3, 1, 2});
    assertThat(b.tokens()).containsExactly(5, 6, 7, 8, 9, 4);
    assertThat(b.positions()).containsExactly(0, 1, 2, 0, 0, 1);
    assertThat(b.labels()).containsExactly(6, 7, NONE, NONE, NONE, NONE);
    assertThat(b.lossWeights()).containsExactly(1, 2, 0, 0, 0, 0);
    assertThat(b.sequenceStarts()).containsExactly(0, 3, 4, 6);
    assertThat(b.targetTokens()).isEqualTo(2);
    assertThat(b.samples()).containsExactly(3, 1, 2);
  }

  @Test
  void paddedSequencesHaveOneLength() {
    MicroBatch b = MicroBatch.padded(List.of(ONE, THREE), 0, new int[] {0, 1});
    assertThat(b.tokens()).containsExactly(8, 0, 0, 5, 6, 7);
    assertThat(b.positions()).containsExactly(0, 1, 2, 0, 1, 2);
    assertThat(b.labels()).containsExactly(NONE, NONE, NONE, 6, 7, NONE);
    assertThat(b.sequenceStarts()).containsExactly(0, 3, 6);
    assertThat(b.targetTokens()).isEqualTo(2);
  }

  @Test
  void aBatchWithoutTargetsOrSequencesIsPossible() {
    assertThat(MicroBatch.packed(List.of(UNTRAINED), new int[] {0}).targetTokens()).isZero();
    assertThat(MicroBatch.padded(List.of(), 0, new int[0]).sequenceStarts()).containsExactly(0);
  }
}
