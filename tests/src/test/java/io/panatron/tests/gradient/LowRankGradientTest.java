package io.panatron.tests.gradient;

import io.panatron.kernels.DropoutMask;
import io.panatron.kernels.LowRank;
import io.panatron.kernels.Tensor;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Gradients of a linear layer with a low-rank addition in two blocks, with and without dropout. */
final class LowRankGradientTest {
  private static final int TOKENS = 5;
  private static final int IN = 6;
  private static final int OUT = 9;
  private static final int RANK = 2;
  private static final double SCALE = 1.5;

  private final GradientCheck check = new GradientCheck(1);
  private final Tensor x = check.normal(TOKENS, IN);
  private final Tensor weight = check.normal(OUT, IN);
  private final Tensor bias = check.normal(OUT);
  private final Tensor dy = check.normal(TOKENS, OUT);
  private final LowRank adapter =
      new LowRank(
          check.normal(2 * RANK, IN),
          check.normal(7, RANK),
          List.of(new LowRank.Block(0, 4), new LowRank.Block(6, 3)));

  @AfterEach
  void verifyMemory() {
    check.close();
  }

  private Tensor dropped(DropoutMask mask) {
    Tensor dropped = check.empty(TOKENS, IN);
    check.backend().dropout(x, mask, dropped);
    return dropped;
  }

  private Tensor narrow(DropoutMask mask) {
    Tensor h = check.empty(TOKENS, 2 * RANK);
    check.backend().lowRankForward(check.scratch(), dropped(mask), adapter, SCALE, h);
    return h;
  }

  private double loss(DropoutMask mask) {
    Tensor y = check.empty(TOKENS, OUT);
    check
        .backend()
        .adaptedLinearForward(check.scratch(), x, weight, bias, narrow(mask), adapter, y);
    return check.weigh(dy, y);
  }

  private static DropoutMask mask(double probability) {
    return new DropoutMask(probability, 1, 2, 3, 4, 0);
  }

  @Test
  @GradientOf("lowRankBackward")
  void gradientsOfBothMatricesAddTheSlope() {
    for (double probability : new double[] {0, 0.4}) {
      DropoutMask mask = mask(probability);
      Tensor dDown = check.normal(2 * RANK, IN);
      Tensor dUp = check.normal(7, RANK);
      double[] downBefore = check.read(dDown);
      double[] upBefore = check.read(dUp);
      Tensor g = check.empty(TOKENS, 2 * RANK);
      check
          .backend()
          .lowRankBackward(
              check.scratch(), dropped(mask), narrow(mask), dy, adapter, SCALE, g, dDown, dUp);
      check.verify("down", adapter.down(), check.added(dDown, downBefore), () -> loss(mask));
      check.verify("up", adapter.up(), check.added(dUp, upBefore), () -> loss(mask));
    }
  }

  @Test
  @GradientOf("adaptedLinearBackwardInput")
  void inputGradientIsTheSlope() {
    for (double probability : new double[] {0, 0.4}) {
      DropoutMask mask = mask(probability);
      Tensor g = check.empty(TOKENS, 2 * RANK);
      check
          .backend()
          .lowRankBackward(
              check.scratch(),
              dropped(mask),
              narrow(mask),
              dy,
              adapter,
              SCALE,
              g,
              check.normal(2 * RANK, IN),
              check.normal(7, RANK));
      Tensor dx = check.empty(TOKENS, IN);
      check
          .backend()
          .adaptedLinearBackwardInput(
              check.scratch(), dy, weight, g, adapter, probability == 0 ? null : mask, dx);
      check.verify("x", x, check.read(dx), () -> loss(mask));
    }
  }
}
