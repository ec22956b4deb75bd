package io.panatron.runtime.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.panatron.runtime.UserError;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

class IterationPlanTest {
  private static IterationPlan plan(
      int train,
      int validation,
      int micro,
      int ranks,
      int global,
      @Nullable Integer iters,
      @Nullable Integer epochs) {
    return IterationPlan.of(
        new IterationPlan.Request(train, validation, micro, ranks, global, iters, epochs, -1));
  }

  @Test
  void epochsBecomeIterationsOfWholeSteps() {
    // 103 samples, step 4: 100 count; 3 epochs are 300 samples in batches of 16
    assertThat(plan(103, 0, 2, 2, 16, null, 3)).isEqualTo(new IterationPlan(18, 0, 6));
  }

  @Test
  void epochsWinOverIterations() {
    assertThat(plan(16, 0, 1, 1, 4, 1000, 2).trainIters()).isEqualTo(8);
  }

  @Test
  void iterationsMayWrapASmallDataSet() {
    assertThat(plan(3, 0, 1, 1, 16, 7, null)).isEqualTo(new IterationPlan(7, 0, 0));
  }

  @Test
  void evaluationCoversWholeGlobalBatchesAndAtLeastOne() {
    assertThat(plan(100, 33, 1, 1, 16, 1, null).evalIters()).isEqualTo(2);
    assertThat(plan(100, 5, 1, 1, 16, 1, null).evalIters()).isEqualTo(1);
    assertThat(
            IterationPlan.of(new IterationPlan.Request(100, 50, 1, 1, 16, 1, null, 9)).evalIters())
        .isEqualTo(9);
    assertThat(
            IterationPlan.of(new IterationPlan.Request(100, 50, 1, 1, 16, 1, null, 0)).evalIters())
        .isZero();
  }

  @Test
  void impossibleLengthsAreUserErrors() {
    assertThatThrownBy(() -> plan(3, 0, 2, 2, 4, 1, null))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("3 samples, fewer than the 4");
    assertThatThrownBy(() -> plan(10, 0, 2, 2, 6, 1, null))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("choose a multiple of 4");
    assertThatThrownBy(() -> plan(10, 0, 1, 1, 16, null, 1))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("does not fill one --global_batch_size of 16");
    assertThatThrownBy(() -> plan(10, 0, 1, 1, 2, null, null))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("--train_iters");
    assertThatThrownBy(() -> plan(10, 0, 1, 1, 2, null, 0)).isInstanceOf(UserError.class);
    assertThatThrownBy(() -> plan(10, 0, 1, 1, 2, -1, null)).isInstanceOf(UserError.class);
  }
}
