package io.panatron.runtime.train;

import static org.assertj.core.api.Assertions.assertThat;

import io.panatron.runtime.data.MicroBatch;
import io.panatron.runtime.model.FlopCount;
import java.util.List;
import java.util.OptionalDouble;
import org.junit.jupiter.api.Test;

class StepFiguresTest {
  private static StepFigures figures(OptionalDouble peak) {
    // Neither optimizer nor backend nor memory is asked here.
    return new StepFigures(new FlopCount(10, 2), null, null, null, peak);
  }

  private static MicroBatch batch(int... starts) {
    int tokens = starts[starts.length - 1];
    return new MicroBatch(
        new int[tokens],
        new int[tokens],
        new int[tokens],
        new float[tokens],
        starts,
        0,
        new int[0]);
  }

  @Test
  void operationsAreThoseOfTheSequencesInTheBatch() {
    StepFigures figures = figures(OptionalDouble.empty());
    figures.onBatch(List.of(batch(0, 3, 7), batch(0, 5)), 42);

    assertThat(figures.flops()).isEqualTo(10.0 * 12 + 2.0 * (9 + 16 + 25));
    assertThat(figures.waitNanos()).isEqualTo(42);
    assertThat(figures.lengths().count()).isEqualTo(3);
    assertThat(figures.lengths().longest()).isEqualTo(5);

    figures.onBatch(List.of(batch(0, 1)), 1);
    assertThat(figures.flops()).isEqualTo(12);
    assertThat(figures.lengths().count()).isEqualTo(4);
  }

  @Test
  void utilizationIsTheShareOfAKnownPeak() {
    assertThat(StepFigures.teraFlops(3e12, 2)).isEqualTo(1.5);
    assertThat(figures(OptionalDouble.of(6e12)).utilization(1.5)).hasValue(0.25);
    assertThat(figures(OptionalDouble.empty()).utilization(1.5)).isEmpty();
  }
}
