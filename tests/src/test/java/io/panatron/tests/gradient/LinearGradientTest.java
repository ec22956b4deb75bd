package io.panatron.tests.gradient;

import static org.assertj.core.api.Assertions.assertThat;

import io.panatron.kernels.Tensor;
import java.util.function.DoubleSupplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Gradients of the linear layer and of the embedding table. */
final class LinearGradientTest {
  private static final int TOKENS = 5;
  private static final int IN = 6;
  private static final int OUT = 7;

  private final GradientCheck check = new GradientCheck(1);
  private final Tensor x = check.normal(TOKENS, IN);
  private final Tensor weight = check.normal(OUT, IN);
  private final Tensor bias = check.normal(OUT);
  private final Tensor dy = check.normal(TOKENS, OUT);

  @AfterEach
  void verifyMemory() {
    check.close();
  }

  private double loss() {
    Tensor y = check.empty(TOKENS, OUT);
    check.backend().linearForward(check.scratch(), x, weight, bias, y);
    return check.weigh(dy, y);
  }

  @Test
  @GradientOf("linearBackwardInput")
  void inputGradientIsTheSlope() {
    Tensor dx = check.empty(TOKENS, IN);
    check.backend().linearBackwardInput(check.scratch(), dy, weight, dx);
    check.verify("x", x, check.read(dx), this::loss);
  }

  @Test
  @GradientOf("linearBackwardWeight")
  void weightAndBiasGradientsAddTheSlope() {
    Tensor dWeight = check.normal(OUT, IN);
    Tensor dBias = check.normal(OUT);
    double[] weightBefore = check.read(dWeight);
    double[] biasBefore = check.read(dBias);
    check.backend().linearBackwardWeight(check.scratch(), x, dy, dWeight, dBias);
    check.verify("weight", weight, check.added(dWeight, weightBefore), this::loss);
    check.verify("bias", bias, check.added(dBias, biasBefore), this::loss);
  }

  @Test
  void weightGradientIsTheSameWithoutBias() {
    Tensor with = check.tensor(new double[OUT * IN], OUT, IN);
    Tensor without = check.tensor(new double[OUT * IN], OUT, IN);
    check.backend().linearBackwardWeight(check.scratch(), x, dy, with, check.normal(OUT));
    check.backend().linearBackwardWeight(check.scratch(), x, dy, without, null);
    assertThat(check.read(without)).isEqualTo(check.read(with));
  }

  @Test
  @GradientOf("embeddingBackward")
  void tableGradientAddsTheSlopeOfRepeatedAndAbsentIds() {
    Tensor ids = check.integers(3, 0, 3, 6, 3);
    Tensor table = check.normal(7, IN);
    Tensor upstream = check.normal(TOKENS, IN);
    Tensor dTable = check.normal(7, IN);
    double[] before = check.read(dTable);
    DoubleSupplier loss =
        () -> {
          Tensor y = check.empty(TOKENS, IN);
          check.backend().embeddingForward(ids, table, y);
          return check.weigh(upstream, y);
        };
    check.backend().embeddingBackward(check.scratch(), ids, upstream, dTable);
    check.verify("table", table, check.added(dTable, before), loss);
  }
}
