package io.panatron.tests.gradient;

import static org.assertj.core.api.Assertions.assertThat;

import io.panatron.kernels.Tensor;
import java.util.function.DoubleSupplier;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Gradients of SwiGLU and of the head with its cross-entropy. */
final class LossGradientTest {
  private static final int TOKENS = 5;
  private static final int HIDDEN = 6;
  private static final int VOCAB = 7;

  private final GradientCheck check = new GradientCheck(4);

  @AfterEach
  void verifyMemory() {
    check.close();
  }

  @Test
  @GradientOf("swigluBackward")
  void swigluGradientIsTheSlopeInGateAndUp() {
    Tensor gateUp = check.normal(TOKENS, 14);
    Tensor y = check.empty(TOKENS, 7);
    Tensor dy = check.normal(TOKENS, 7);
    Tensor dGateUp = check.empty(TOKENS, 14);
    check.backend().swigluBackward(gateUp, dy, dGateUp);
    check.verify(
        "gateUp",
        gateUp,
        check.read(dGateUp),
        () -> {
          check.backend().swigluForward(gateUp, y);
          return check.weigh(dy, y);
        });
  }

  /** One head with two ignored tokens. */
  private final class Head {
    final Tensor x = check.normal(TOKENS, HIDDEN);
    final Tensor weight = check.normal(VOCAB, HIDDEN);
    final Tensor labels = check.integers(6, -100, 0, 3, -1);
    final Tensor losses = check.empty(TOKENS);
    final Tensor logSumExp = check.empty(TOKENS);
    final Tensor dLosses = check.normal(TOKENS);
    final Tensor dx = check.empty(TOKENS, HIDDEN);
    final Tensor dWeight = check.normal(VOCAB, HIDDEN);
    final double[] before = check.read(dWeight);
    final DoubleSupplier loss =
        () -> {
          check
              .backend()
              .linearCrossEntropyForward(check.scratch(), x, weight, labels, losses, logSumExp);
          return check.weigh(dLosses, losses);
        };
  }

  @Test
  @GradientOf("linearCrossEntropyBackward")
  void crossEntropyGradientIsTheSlopeInInputAndWeight() {
    Head h = new Head();
    assertThat(h.loss.getAsDouble()).isFinite();
    check
        .backend()
        .linearCrossEntropyBackward(
            check.scratch(), h.x, h.weight, h.labels, h.logSumExp, h.dLosses, h.dx, h.dWeight);
    check.verify("x", h.x, check.read(h.dx), h.loss);
    check.verify("weight", h.weight, check.added(h.dWeight, h.before), h.loss);
  }

  @Test
  @GradientOf("linearCrossEntropyForwardBackward")
  void forwardBackwardIsTheSlopeAndEqualsForwardAndBackward() {
    Head h = new Head();
    Tensor losses = check.empty(TOKENS);
    check
        .backend()
        .linearCrossEntropyForwardBackward(
            check.scratch(), h.x, h.weight, h.labels, h.dLosses, losses, h.dx, h.dWeight);
    check.verify("x", h.x, check.read(h.dx), h.loss);
    check.verify("weight", h.weight, check.added(h.dWeight, h.before), h.loss);

    assertThat(h.loss.getAsDouble()).isFinite();
    Tensor dx = check.empty(TOKENS, HIDDEN);
    Tensor dWeight = check.tensor(h.before, VOCAB, HIDDEN);
    check
        .backend()
        .linearCrossEntropyBackward(
            check.scratch(), h.x, h.weight, h.labels, h.logSumExp, h.dLosses, dx, dWeight);
    assertThat(check.read(losses)).isEqualTo(check.read(h.losses));
    assertThat(check.read(h.dx)).isEqualTo(check.read(dx));
    assertThat(check.read(h.dWeight)).isEqualTo(check.read(dWeight));
  }

  @Test
  @GradientOf("linearDftForwardBackward")
  void dftIsTheSlopeOfTheCrossEntropyTimesTheProbabilityHeldConstant() {
    Head h = new Head();
    Tensor losses = check.empty(TOKENS);
    check
        .backend()
        .linearDftForwardBackward(
            check.scratch(), h.x, h.weight, h.labels, h.dLosses, losses, h.dx, h.dWeight);
    double[] crossEntropies = check.read(losses);
    double[] upstream = check.read(h.dLosses);
    double[] scaled = new double[TOKENS];
    for (int t = 0; t < TOKENS; t++) {
      scaled[t] = upstream[t] * Math.exp(-crossEntropies[t]);
    }
    Tensor frozen = check.tensor(scaled, TOKENS);
    DoubleSupplier loss =
        () -> {
          check
              .backend()
              .linearCrossEntropyForward(
                  check.scratch(), h.x, h.weight, h.labels, h.losses, h.logSumExp);
          return check.weigh(frozen, h.losses);
        };
    check.verify("x", h.x, check.read(h.dx), loss);
    check.verify("weight", h.weight, check.added(h.dWeight, h.before), loss);
    assertThat(loss.getAsDouble()).isFinite();
    assertThat(crossEntropies).isEqualTo(check.read(h.losses));
  }

  @Test
  void ignoredTokensHaveNoLossAndNoGradientWhateverTheirUpstream() {
    Head h = new Head();
    double[] upstream = check.read(h.dLosses);
    upstream[1] = Double.NaN;
    Tensor dLosses = check.tensor(upstream, TOKENS);
    Tensor losses = check.empty(TOKENS);
    check
        .backend()
        .linearCrossEntropyForwardBackward(
            check.scratch(), h.x, h.weight, h.labels, dLosses, losses, h.dx, h.dWeight);
    assertThat(check.read(losses.slice(1, 1))).containsExactly(0);
    assertThat(check.read(losses.slice(4, 1))).containsExactly(0);
    assertThat(check.read(h.dx.slice(1, 1))).containsOnly(0);
    assertThat(check.read(h.dWeight)).doesNotContain(Double.NaN);
  }

  @Test
  void hugeLogitsGiveFiniteLosses() {
    Tensor x = check.tensor(new double[] {1000}, 1, 1);
    Tensor weight = check.tensor(new double[] {1, 0, -1}, 3, 1);
    Tensor losses = check.empty(1);
    check
        .backend()
        .linearCrossEntropyForward(
            check.scratch(), x, weight, check.integers(1), losses, check.empty(1));
    assertThat(check.read(losses)[0]).isCloseTo(1000, Offset.offset(1e-9));
  }
}
