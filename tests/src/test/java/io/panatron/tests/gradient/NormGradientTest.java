package io.panatron.tests.gradient;

import static org.assertj.core.api.Assertions.assertThat;

import io.panatron.kernels.Activation;
import io.panatron.kernels.Backend.HeadNorm;
import io.panatron.kernels.HeadGeometry;
import io.panatron.kernels.RotaryTable;
import io.panatron.kernels.Tensor;
import java.util.function.DoubleSupplier;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Gradients of the norms and of the split into rotated heads. */
final class NormGradientTest {
  private static final int TOKENS = 5;

  /** Large enough that a misplaced epsilon changes the gradient. */
  private static final double EPSILON = 0.3;

  private final GradientCheck check = new GradientCheck(2);

  @AfterEach
  void verifyMemory() {
    check.close();
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  @GradientOf("addRmsNormBackward")
  void normGradientIsTheSlopeInBothAddendsAndTheWeight(boolean residual) {
    int hidden = 7;
    Tensor x = check.normal(TOKENS, hidden);
    Tensor delta = check.normal(TOKENS, hidden);
    Tensor weight = check.normal(hidden);
    Tensor sum = check.empty(TOKENS, hidden);
    Tensor y = check.empty(TOKENS, hidden);
    Tensor rstd = check.empty(TOKENS);
    Tensor dy = check.normal(TOKENS, hidden);
    Tensor dSum = check.normal(TOKENS, hidden);
    DoubleSupplier loss =
        () -> {
          if (residual) {
            check.backend().addRmsNormForward(x, delta, weight, EPSILON, sum, y, rstd);
            return check.weigh(dy, y) + check.weigh(dSum, sum);
          }
          check.backend().addRmsNormForward(x, null, weight, EPSILON, null, y, rstd);
          return check.weigh(dy, y);
        };
    assertThat(loss.getAsDouble()).isFinite();
    Tensor dx = check.empty(TOKENS, hidden);
    Tensor dWeight = check.normal(hidden);
    double[] before = check.read(dWeight);
    check
        .backend()
        .addRmsNormBackward(
            check.scratch(),
            residual ? sum : x,
            weight,
            rstd,
            dy,
            residual ? dSum : null,
            dx,
            dWeight);
    double[] gradient = check.read(dx);
    check.verify("x", x, gradient, loss);
    if (residual) {
      check.verify("delta", delta, gradient, loss);
    }
    check.verify("weight", weight, check.added(dWeight, before), loss);
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  @GradientOf("addLayerNormBackward")
  void layerNormGradientIsTheSlopeInBothAddendsTheWeightAndTheBias(boolean residual) {
    int hidden = 7;
    Tensor x = check.normal(TOKENS, hidden);
    Tensor delta = check.normal(TOKENS, hidden);
    Tensor weight = check.normal(hidden);
    Tensor bias = check.normal(hidden);
    Tensor sum = check.empty(TOKENS, hidden);
    Tensor y = check.empty(TOKENS, hidden);
    Tensor rstd = check.empty(TOKENS);
    Tensor dy = check.normal(TOKENS, hidden);
    Tensor dSum = check.normal(TOKENS, hidden);
    DoubleSupplier loss =
        () -> {
          if (residual) {
            check.backend().addLayerNormForward(x, delta, weight, bias, EPSILON, sum, y, rstd);
            return check.weigh(dy, y) + check.weigh(dSum, sum);
          }
          check.backend().addLayerNormForward(x, null, weight, bias, EPSILON, null, y, rstd);
          return check.weigh(dy, y);
        };
    assertThat(loss.getAsDouble()).isFinite();
    Tensor dx = check.empty(TOKENS, hidden);
    Tensor dWeight = check.normal(hidden);
    Tensor dBias = check.normal(hidden);
    double[] weightBefore = check.read(dWeight);
    double[] biasBefore = check.read(dBias);
    check
        .backend()
        .addLayerNormBackward(
            check.scratch(),
            residual ? sum : x,
            weight,
            rstd,
            dy,
            residual ? dSum : null,
            dx,
            dWeight,
            dBias);
    double[] gradient = check.read(dx);
    check.verify("x", x, gradient, loss);
    if (residual) {
      check.verify("delta", delta, gradient, loss);
    }
    check.verify("weight", weight, check.added(dWeight, weightBefore), loss);
    check.verify("bias", bias, check.added(dBias, biasBefore), loss);
  }

  @ParameterizedTest
  @EnumSource
  @GradientOf("activationBackward")
  void activationGradientIsTheSlope(Activation activation) {
    double[] inputs = {-7, -2.5, -1.3, -0.8, -0.2, -1e-3, 2e-3, 0.3, 0.75, 1.4, 2.9, 6};
    Tensor x = check.tensor(inputs, 2, 6);
    Tensor y = check.empty(2, 6);
    Tensor dy = check.normal(2, 6);
    DoubleSupplier loss =
        () -> {
          check.backend().activationForward(activation, x, y);
          return check.weigh(dy, y);
        };
    Tensor dx = check.empty(2, 6);
    check.backend().activationBackward(activation, x, dy, dx);
    check.verify("x", x, check.read(dx), loss);
  }

  @ParameterizedTest
  @CsvSource({
    "false, 4, 4, false",
    "true, 4, 4, false",
    "false, 6, 6, true",
    "true, 6, 2, false",
    "true, 8, 4, true"
  })
  @GradientOf("splitHeadsBackward")
  void splitGradientIsTheSlopeInTheProjectionAndBothNormWeights(
      boolean normed, int headDim, int rotaryDim, boolean interleaved) {
    HeadGeometry geometry = new HeadGeometry(3, 1, headDim);
    RotaryTable rotary =
        new RotaryTable(
            check.normal(9, rotaryDim / 2), check.normal(9, rotaryDim / 2), interleaved);
    Tensor positions = check.integers(0, 8, 3, 3, 1);
    Tensor qkv = check.normal(TOKENS, geometry.fusedColumns());
    HeadNorm given = new HeadNorm(check.normal(headDim), check.normal(headDim), EPSILON);
    @Nullable HeadNorm norm = normed ? given : null;
    @Nullable Tensor rstd = normed ? check.empty(TOKENS, 4) : null;
    Tensor q = check.empty(TOKENS, 3, headDim);
    Tensor k = check.empty(TOKENS, 1, headDim);
    Tensor v = check.empty(TOKENS, 1, headDim);
    Tensor dq = check.normal(TOKENS, 3, headDim);
    Tensor dk = check.normal(TOKENS, 1, headDim);
    Tensor dv = check.normal(TOKENS, 1, headDim);
    DoubleSupplier loss =
        () -> {
          check.backend().splitHeadsForward(qkv, geometry, positions, rotary, norm, q, k, v, rstd);
          return check.weigh(dq, q) + check.weigh(dk, k) + check.weigh(dv, v);
        };
    assertThat(loss.getAsDouble()).isFinite();
    Tensor dqkv = check.empty(TOKENS, geometry.fusedColumns());
    @Nullable Tensor dQueryWeight = normed ? check.normal(headDim) : null;
    @Nullable Tensor dKeyWeight = normed ? check.normal(headDim) : null;
    double[] queryBefore = dQueryWeight == null ? new double[0] : check.read(dQueryWeight);
    double[] keyBefore = dKeyWeight == null ? new double[0] : check.read(dKeyWeight);
    check
        .backend()
        .splitHeadsBackward(
            check.scratch(),
            qkv,
            geometry,
            positions,
            rotary,
            norm,
            rstd,
            dq,
            dk,
            dv,
            dqkv,
            dQueryWeight,
            dKeyWeight);
    check.verify("qkv", qkv, check.read(dqkv), loss);
    if (dQueryWeight != null && dKeyWeight != null) {
      check.verify(
          "queryWeight", given.queryWeight(), check.added(dQueryWeight, queryBefore), loss);
      check.verify("keyWeight", given.keyWeight(), check.added(dKeyWeight, keyBefore), loss);
    }
  }
}
