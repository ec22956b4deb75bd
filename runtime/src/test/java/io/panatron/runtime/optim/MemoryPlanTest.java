package io.panatron.runtime.optim;

import static org.assertj.core.api.Assertions.assertThat;

import io.panatron.kernels.DType;
import io.panatron.kernels.Shape;
import io.panatron.runtime.nn.FlatLayout;
import java.util.List;
import org.junit.jupiter.api.Test;

class MemoryPlanTest {
  private static final List<FlatLayout.Spec> SPECS =
      List.of(new FlatLayout.Spec("a", Shape.of(100, 64)), new FlatLayout.Spec("b", Shape.of(64)));

  private static final long ELEMENTS = 101 * 64;

  private static MemoryPlan plan(DType compute, StateDTypes state) {
    return plan(SPECS, compute, state);
  }

  private static MemoryPlan plan(List<FlatLayout.Spec> specs, DType compute, StateDTypes state) {
    return MemoryPlan.of(
        specs,
        compute,
        new OptimizerSettings(
            OptimizerSettings.Kind.ADAM,
            0.1,
            1,
            0.9,
            0.95,
            1e-8,
            0,
            DynamicLossScale.Settings.DEFAULT,
            state));
  }

  private static StateDTypes aware(DType gradients, DType main, DType first, DType second) {
    return new StateDTypes(true, gradients, main, first, second);
  }

  @Test
  void aPlainOptimizerTakesSixteenBytesAParameter() {
    assertThat(plan(DType.F32, StateDTypes.DEFAULT).bytes()).isEqualTo(16 * ELEMENTS);
    assertThat(plan(DType.BF16, StateDTypes.DEFAULT).bytes()).isEqualTo(18 * ELEMENTS);
  }

  @Test
  void aFrozenParameterTakesItsOwnBytesAlone() {
    List<FlatLayout.Spec> specs =
        List.of(
            new FlatLayout.Spec("a", Shape.of(100, 64)).withTraining(false),
            new FlatLayout.Spec("b", Shape.of(64)));
    MemoryPlan plan = plan(specs, DType.BF16, StateDTypes.DEFAULT);

    assertThat(plan.bytes()).isEqualTo(2 * ELEMENTS + 16 * 64);
    assertThat(plan.savedBytes(true, name -> name.equals("b"))).isEqualTo(14 * 64);
    assertThat(new FlatLayout(specs).trainedElements()).isEqualTo(64);
  }

  @Test
  void aBfloat16ModelHoldsTheUpperHalvesOfItsMainParameters() {
    StateDTypes wide = aware(DType.F32, DType.F32, DType.F32, DType.F32);
    assertThat(plan(DType.BF16, wide).bytes()).isEqualTo(16 * ELEMENTS);
    assertThat(plan(DType.F16, wide).bytes()).isEqualTo(18 * ELEMENTS);
    assertThat(plan(DType.F32, wide).bytes()).isEqualTo(16 * ELEMENTS);
  }

  @Test
  void narrowStateIsPlannedWithItsScales() {
    MemoryPlan plan = plan(DType.BF16, aware(DType.BF16, DType.F16, DType.F8_E4M3, DType.F8_E4M3));
    long scales = 3 * 2 * 4;
    assertThat(plan.bytes()).isEqualTo((2 + 2 + 2 + 1 + 1) * ELEMENTS + scales);
    assertThat(plan.summary())
        .anyMatch(line -> line.contains("exp_avg_sq") && line.contains("F8_E4M3"))
        .anyMatch(line -> line.contains("scales"));
  }
}
