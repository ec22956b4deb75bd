package io.panatron.kernels.reference;

import static org.assertj.core.api.Assertions.assertThat;

import io.panatron.kernels.AdamWStep;
import io.panatron.kernels.DType;
import io.panatron.kernels.MemoryPool;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.SgdStep;
import io.panatron.kernels.Tensor;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The updates by numbers worked out by hand. */
final class ReferenceOptimizerTest {
  /** The expected numbers are written to twelve places. */
  private static final Offset<Double> TWELVE_PLACES = Offset.offset(1e-12);

  private final ReferenceBackend backend = new ReferenceBackend();
  private final MemoryPool pool = new MemoryPool(backend.device(), (bytes, reserved) -> {});
  private final MemoryScope scope = pool.scope("test", true);

  @AfterEach
  void close() {
    scope.close();
    pool.close();
    backend.close();
  }

  private Tensor scalar(double value) {
    Tensor tensor = scope.allocate("scalar", DType.F64, 1);
    backend.fill(tensor, value);
    return tensor;
  }

  private static double value(Tensor tensor) {
    return ReferenceArray.read(tensor)[0];
  }

  @Test
  void adamWDecaysThenMovesByTheCorrectedMoments() {
    Tensor p = scalar(2);
    Tensor m = scalar(0.5);
    Tensor v = scalar(0.25);
    // g = 0.5 * 3 = 1.5; m = 0.9*0.5 + 0.1*1.5 = 0.6; v = 0.75*0.25 + 0.25*2.25 = 0.75
    // p = 2 (1 - 0.1*0.2) - 0.1/(1 - 0.81) * 0.6 / (sqrt(0.75/(1 - 0.5625)) + 0.5)
    backend.adamW(new AdamWStep(0.1, 0.9, 0.75, 0.5, 0.2, 0.5, 2), p, scalar(3), m, v, null);
    assertThat(value(m)).isCloseTo(0.6, TWELVE_PLACES);
    assertThat(value(v)).isCloseTo(0.75, TWELVE_PLACES);
    assertThat(value(p)).isCloseTo(1.96 - 0.315789473684 / 1.809307341416, Offset.offset(1e-11));
  }

  @Test
  void sgdStartsItsMomentumWithTheFirstGradient() {
    Tensor p = scalar(2);
    Tensor momentum = scalar(Double.NaN);
    SgdStep first = new SgdStep(0.1, 0.9, 0.5, 0.5, 1);
    // g = 0.5*3 + 0.5*2 = 2.5; p = 2 - 0.25
    backend.sgd(first, p, scalar(3), momentum, null);
    assertThat(value(p)).isCloseTo(1.75, TWELVE_PLACES);
    // g = 0.5*1 + 0.5*1.75 = 1.375; b = 0.9*2.5 + 1.375 = 3.625
    backend.sgd(new SgdStep(0.1, 0.9, 0.5, 0.5, 2), p, scalar(1), momentum, null);
    assertThat(value(momentum)).isCloseTo(3.625, TWELVE_PLACES);
    assertThat(value(p)).isCloseTo(1.3875, TWELVE_PLACES);
  }

  @Test
  void theModelReceivesTheRoundedParameter() {
    Tensor p = scalar(1 + 0x1p-8 + 0x1p-20);
    Tensor model = scope.allocate("model", DType.BF16, 1);
    backend.sgd(new SgdStep(0, 0, 0, 1, 1), p, scalar(1), scalar(0), model);
    assertThat(value(model)).isEqualTo(1 + 0x1p-7);
  }
}
