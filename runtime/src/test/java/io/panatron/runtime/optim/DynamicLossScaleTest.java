package io.panatron.runtime.optim;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.panatron.kernels.DType;
import io.panatron.runtime.UserError;
import java.util.Map;
import org.junit.jupiter.api.Test;

class DynamicLossScaleTest {
  private static final DynamicLossScale.Settings SETTINGS =
      new DynamicLossScale.Settings(1024, 256, 3, 2);

  /** The scale after steps of which an o overflows and a + does not. */
  private static double after(String steps) {
    DynamicLossScale scale = new DynamicLossScale(SETTINGS);
    steps.chars().forEach(step -> scale.update(step == 'o'));
    return scale.scale();
  }

  @Test
  void theFirstOverflowIsForgivenAndEachFurtherOneHalvesTheScale() {
    assertThat(after("o")).isEqualTo(1024);
    assertThat(after("oo")).isEqualTo(512);
    assertThat(after("ooo")).isEqualTo(256);
    // Steps without an overflow, fewer than the window, forgive nothing.
    assertThat(after("o++o")).isEqualTo(512);
    assertThat(after("o++o++o")).isEqualTo(256);
  }

  @Test
  void aWindowWithoutOverflowDoublesTheScaleAndForgivesAgain() {
    assertThat(after("++")).isEqualTo(1024);
    assertThat(after("+++")).isEqualTo(2048);
    assertThat(after("++o++")).as("an overflow starts the window over").isEqualTo(1024);
    assertThat(after("++++++")).isEqualTo(4096);
    assertThat(after("oo+++o")).as("forgiven").isEqualTo(1024);
    assertThat(after("oo+++oo")).isEqualTo(512);
  }

  @Test
  void theScaleDoesNotFallBelowItsMinimumAndOverflowsThereAreCounted() {
    assertThat(after("oooooooo")).isEqualTo(256);
    DynamicLossScale scale = new DynamicLossScale(SETTINGS);
    for (int i = 0; i < 3 + 19; i++) {
      scale.update(true);
      assertThat(scale.isHopeless()).isFalse();
    }
    scale.update(true);
    assertThat(scale.isHopeless()).isTrue();
    scale.update(false);
    assertThat(scale.isHopeless()).isFalse();
  }

  @Test
  void aRestoredScaleGoesOnAsIfNothingWas() {
    String steps = "o++o+++oo+oo++++o+++";
    for (int cut = 0; cut <= steps.length(); cut++) {
      DynamicLossScale first = new DynamicLossScale(SETTINGS);
      steps.substring(0, cut).chars().forEach(step -> first.update(step == 'o'));
      DynamicLossScale second = new DynamicLossScale(SETTINGS);
      assertThat(second.restore(first.numbers(), first.counters())).isTrue();
      steps.substring(cut).chars().forEach(step -> second.update(step == 'o'));
      assertThat(second.scale()).as("cut at %s", cut).isEqualTo(after(steps));
    }
    assertThat(new DynamicLossScale(SETTINGS).restore(Map.of(), Map.of())).isFalse();
  }

  @Test
  void onlyFloat16IsScaled() {
    OptimizerSettings settings =
        new OptimizerSettings(OptimizerSettings.Kind.ADAM, 0, 1, 0.9, 0.95, 1e-8, 0);
    assertThat(settings.lossScaler(DType.F16).scale()).isEqualTo(0x1p32);
    assertThat(settings.lossScaler(DType.BF16)).isEqualTo(new NoLossScale());
    assertThat(settings.lossScaler(DType.F32).scale()).isEqualTo(1);
  }

  @Test
  void settingsThatCannotWorkAreRefused() {
    assertThatThrownBy(() -> new DynamicLossScale.Settings(1, 2, 1, 1))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("--min_loss_scale 2.0");
    assertThatThrownBy(() -> new DynamicLossScale.Settings(1e39, 1, 1, 1))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("--initial_loss_scale 1.0E39");
    assertThatThrownBy(() -> new DynamicLossScale.Settings(2, 1, 0, 1))
        .hasMessageContaining("--loss_scale_window 0");
  }
}
