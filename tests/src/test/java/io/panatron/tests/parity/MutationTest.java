package io.panatron.tests.parity;

import static org.assertj.core.api.Assertions.assertThat;

import io.panatron.kernels.Activation;
import io.panatron.kernels.AdamWStep;
import io.panatron.kernels.AttentionLayout;
import io.panatron.kernels.Backend;
import io.panatron.kernels.DType;
import io.panatron.kernels.DropoutMask;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.backends.Backends;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/**
 * The suite finds a backend that is wrong by a little: one constant, one row, one forgotten write.
 */
final class MutationTest {
  private static final Backend BASE = Backends.reference();

  /** How many cases of an operation fail when {@code overrides} replaces it. */
  private static long failures(String operation, Object overrides) {
    Backend mutant = OverridingBackend.of(BASE, overrides);
    return ParityCases.of(operation, DType.F32).stream().filter(c -> fails(c, mutant)).count();
  }

  private static boolean fails(ParityCase parityCase, Backend backend) {
    try {
      parityCase.run(backend);
      return false;
    } catch (AssertionError e) {
      return true;
    }
  }

  @TestFactory
  Stream<DynamicTest> aSmallMistakeIsFound() {
    return Stream.of(
            new WrongEpsilon(),
            new WrongScale(),
            new WrongBeta(),
            new WrongLayerEpsilon(),
            new OtherActivation(),
            new LostToken(),
            new WrittenInput(),
            new ForgottenOutput(),
            new OtherSite())
        .map(mutant ->
            DynamicTest.dynamicTest(
                mutant.getClass().getSimpleName(),
                () -> assertThat(failures(mutant.operation(), mutant)).isPositive()));
  }

  @Test
  void theBaseOfTheMutantsPasses() {
    for (String operation : ParityCases.operations()) {
      assertThat(failures(operation, new Object())).as("failures of %s", operation).isZero();
    }
  }

  /** An object whose other method replaces the named operation. */
  interface Mutant {
    String operation();
  }

  /** The norm's epsilon is off by a twentieth. */
  public static final class WrongEpsilon implements Mutant {
    @Override
    public String operation() {
      return "addRmsNormForward";
    }

    public void addRmsNormForward(
        Tensor x,
        @Nullable Tensor delta,
        Tensor weight,
        double epsilon,
        @Nullable Tensor sum,
        Tensor y,
        Tensor rstd) {
      BASE.addRmsNormForward(x, delta, weight, 1.05 * epsilon, sum, y, rstd);
    }
  }

  /** The layer norm's epsilon is off by a twentieth. */
  public static final class WrongLayerEpsilon implements Mutant {
    @Override
    public String operation() {
      return "addLayerNormForward";
    }

    public void addLayerNormForward(
        Tensor x,
        @Nullable Tensor delta,
        Tensor weight,
        Tensor bias,
        double epsilon,
        @Nullable Tensor sum,
        Tensor y,
        Tensor rstd) {
      BASE.addLayerNormForward(x, delta, weight, bias, 1.05 * epsilon, sum, y, rstd);
    }
  }

  /** One approximation of GELU in place of the other. */
  public static final class OtherActivation implements Mutant {
    @Override
    public String operation() {
      return "activationForward";
    }

    public void activationForward(Activation activation, Tensor x, Tensor y) {
      BASE.activationForward(
          activation == Activation.GELU ? Activation.GELU_TANH : activation, x, y);
    }
  }

  /** Scores are off by a ten-thousandth. */
  public static final class WrongScale implements Mutant {
    @Override
    public String operation() {
      return "attentionForward";
    }

    public void attentionForward(
        MemoryScope scratch,
        Tensor q,
        Tensor k,
        Tensor v,
        AttentionLayout layout,
        double scale,
        @Nullable DropoutMask mask,
        Tensor out,
        Tensor logSumExp) {
      BASE.attentionForward(scratch, q, k, v, layout, 1.0001 * scale, mask, out, logSumExp);
    }
  }

  /** The second moment decays by another constant. */
  public static final class WrongBeta implements Mutant {
    @Override
    public String operation() {
      return "adamW";
    }

    public void adamW(
        AdamWStep s,
        Tensor parameter,
        Tensor gradient,
        Tensor m,
        Tensor v,
        @Nullable Tensor model) {
      AdamWStep wrong =
          new AdamWStep(
              s.learningRate(),
              s.beta1(),
              s.beta2() - 1e-4,
              s.epsilon(),
              s.weightDecay(),
              s.gradientScale(),
              s.step());
      BASE.adamW(wrong, parameter, gradient, m, v, model);
    }
  }

  /** The last token does not reach the weight's gradient. */
  public static final class LostToken implements Mutant {
    @Override
    public String operation() {
      return "linearBackwardWeight";
    }

    public void linearBackwardWeight(
        MemoryScope scratch, Tensor x, Tensor dy, Tensor dWeight, @Nullable Tensor dBias) {
      long kept = x.shape().extent(0) - 1;
      BASE.linearBackwardWeight(scratch, x.slice(0, kept), dy.slice(0, kept), dWeight, dBias);
    }
  }

  /** An input is used as working memory. */
  public static final class WrittenInput implements Mutant {
    @Override
    public String operation() {
      return "swigluForward";
    }

    public void swigluForward(Tensor gateUp, Tensor y) {
      BASE.swigluForward(gateUp, y);
      BASE.scale(gateUp, 2);
    }
  }

  /** The last row of an output stays as it was. */
  public static final class ForgottenOutput implements Mutant {
    @Override
    public String operation() {
      return "linearBackwardInput";
    }

    public void linearBackwardInput(MemoryScope scratch, Tensor dy, Tensor weight, Tensor dx) {
      long kept = dy.shape().extent(0) - 1;
      BASE.linearBackwardInput(scratch, dy.slice(0, kept), weight, dx.slice(0, kept));
    }
  }

  /** Other elements are dropped, as many. */
  public static final class OtherSite implements Mutant {
    @Override
    public String operation() {
      return "dropout";
    }

    public void dropout(Tensor x, DropoutMask m, Tensor y) {
      DropoutMask other =
          new DropoutMask(
              m.probability(), m.seed(), m.step(), m.microBatch(), m.site() + 1, m.firstHead());
      BASE.dropout(x, other, y);
    }
  }
}
