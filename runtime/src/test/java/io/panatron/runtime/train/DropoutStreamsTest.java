package io.panatron.runtime.train;

import static org.assertj.core.api.Assertions.assertThat;

import io.panatron.kernels.DropoutMask;
import io.panatron.runtime.nn.DropoutPlan;
import io.panatron.runtime.nn.DropoutRates;
import io.panatron.runtime.parallel.RankContext.Axis;
import io.panatron.runtime.parallel.RankContext.Coordinates;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.NullMarked;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

@NullMarked
class DropoutStreamsTest {
  private static final DropoutRates RATES = new DropoutRates(0.1, 0.2);
  private static final Axis ONE = new Axis(0, 1);

  @Test
  void noTwoPlacesOfARunHaveTheSameMask() {
    DropoutStreams streams = new DropoutStreams(RATES, 42, Coordinates.SINGLE);
    List<DropoutMask> masks = new ArrayList<>();
    for (int iteration = 1; iteration <= 3; iteration++) {
      for (int index = 0; index < 4; index++) {
        masks.addAll(masks(streams.plan(iteration, index)));
      }
    }
    Set<List<Integer>> streamsOfMasks = new HashSet<>();
    masks.forEach(m -> streamsOfMasks.add(List.of(m.step(), m.microBatch(), m.site())));
    assertThat(streamsOfMasks).hasSameSizeAs(masks).hasSize(3 * 4 * (1 + 3 * 3));
    assertThat(masks).extracting(DropoutMask::seed).containsOnly(42L);
  }

  @Test
  void aRateOfZeroHasNoMask() {
    DropoutPlan hidden = plan(new DropoutRates(0.1, 0), Coordinates.SINGLE, 0);
    DropoutPlan attention = plan(new DropoutRates(0, 0.2), Coordinates.SINGLE, 0);
    assertThat(hidden.attention(1, 4)).isNull();
    assertThat(hidden.embedding()).isNotNull();
    assertThat(attention.attention(1, 4)).isNotNull();
    assertThat(attention.embedding()).isNull();
    assertThat(attention.attentionOutput(1)).isNull();
    assertThat(attention.mlpOutput(1)).isNull();
    assertThat(plan(DropoutRates.NONE, Coordinates.SINGLE, 3)).isSameAs(DropoutPlan.NONE);
  }

  /** The sampler deals out micro-batches to the ranks in turn. */
  @Test
  void dataParallelRanksDropWhatOneRankDropsInTheSameMicroBatches() {
    for (int rank = 0; rank < 2; rank++) {
      Coordinates place = new Coordinates(ONE, ONE, new Axis(rank, 2), ONE);
      for (int index = 0; index < 3; index++) {
        assertThat(masks(plan(RATES, place, index)))
            .isEqualTo(masks(plan(RATES, Coordinates.SINGLE, 2 * index + rank)));
      }
    }
  }

  @Test
  void tensorParallelRanksShareHiddenMasksAndDivideTheHeads() {
    for (int rank = 0; rank < 2; rank++) {
      Coordinates place = new Coordinates(new Axis(rank, 2), ONE, ONE, ONE);
      DropoutPlan part = plan(RATES, place, 1);
      DropoutPlan whole = plan(RATES, Coordinates.SINGLE, 1);
      assertThat(part.embedding()).isEqualTo(whole.embedding());
      assertThat(part.attentionOutput(2)).isEqualTo(whole.attentionOutput(2));
      assertThat(part.mlpOutput(2)).isEqualTo(whole.mlpOutput(2));
      DropoutMask heads = part.attention(2, 6);
      assertThat(heads).isNotNull();
      assertThat(heads.firstHead()).isEqualTo(6 * rank);
      assertThat(heads.site()).isEqualTo(masks(whole).get(7).site());
    }
  }

  @Test
  void contextParallelRanksDropApart() {
    Set<Integer> microBatches = new HashSet<>();
    for (int rank = 0; rank < 2; rank++) {
      for (int index = 0; index < 3; index++) {
        Coordinates place = new Coordinates(ONE, new Axis(rank, 2), ONE, ONE);
        microBatches.add(plan(RATES, place, index).microBatch());
      }
    }
    assertThat(microBatches).hasSize(6);
  }

  private static DropoutPlan plan(DropoutRates rates, Coordinates place, int index) {
    return new DropoutStreams(rates, 42, place).plan(5, index);
  }

  /** Of a model of three layers. */
  private static List<DropoutMask> masks(DropoutPlan plan) {
    List<DropoutMask> masks = new ArrayList<>();
    add(masks, plan.embedding());
    for (int layer = 0; layer < 3; layer++) {
      add(masks, plan.attention(layer, 6));
      add(masks, plan.attentionOutput(layer));
      add(masks, plan.mlpOutput(layer));
    }
    return masks;
  }

  private static void add(List<DropoutMask> masks, @Nullable DropoutMask mask) {
    masks.add(Objects.requireNonNull(mask));
  }
}
