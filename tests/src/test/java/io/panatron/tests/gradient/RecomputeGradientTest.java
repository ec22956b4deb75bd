package io.panatron.tests.gradient;

import static org.assertj.core.api.Assertions.assertThat;

import io.panatron.kernels.Backend;
import io.panatron.kernels.Tensor;
import io.panatron.runtime.autograd.AddRmsNorm;
import io.panatron.runtime.autograd.Linear;
import io.panatron.runtime.autograd.Parameter;
import io.panatron.runtime.autograd.Recompute;
import io.panatron.runtime.autograd.ResidualAdd;
import io.panatron.runtime.autograd.Swiglu;
import io.panatron.runtime.autograd.Tape;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.function.DoubleSupplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Gradients through a segment that is run again, and through outputs that are discarded. */
final class RecomputeGradientTest {
  private static final int TOKENS = 5;
  private static final int HIDDEN = 6;
  private static final double EPSILON = 0.3;

  private final GradientCheck check = new GradientCheck(8);
  private final Parameter norm = parameter("norm", HIDDEN);
  private final Parameter up = parameter("up", 2 * HIDDEN, HIDDEN);
  private final Parameter down = parameter("down", HIDDEN, HIDDEN);
  private int runs;

  @AfterEach
  void verifyMemory() {
    check.close();
  }

  private Parameter parameter(String name, long... extents) {
    return new Parameter(name, check.normal(extents), check.normal(extents));
  }

  /** {@code x + down(swiglu(up(norm(x))))}, without the normalised x. */
  private List<Tensor> block(Tape tape, Tensor x) {
    runs++;
    AddRmsNorm.Result normed = AddRmsNorm.forward(tape, x, null, norm, EPSILON);
    Tensor wide = Linear.forward(tape, normed.y(), up, null);
    AddRmsNorm.discardNormalised(tape, normed, norm, EPSILON);
    Tensor output = Linear.forward(tape, Swiglu.forward(tape, wide), down, null);
    Tensor sum = ResidualAdd.forward(tape, normed.sum(), output);
    return List.of(sum);
  }

  @Test
  void theGradientIsTheSlopeInTheInputAndInEveryWeight() {
    Tensor x = check.normal(TOKENS, HIDDEN);
    Tensor dy = check.normal(TOKENS, HIDDEN);
    DoubleSupplier loss =
        () -> {
          Tape tape = Tape.inference(check.backend(), check.scratch());
          Tensor y = Recompute.forward(tape, tape.retain(x), this::block).getFirst();
          double sum = check.weigh(dy, y);
          tape.release(y);
          return sum;
        };
    List<Parameter> parameters = List.of(norm, up, down);
    List<double[]> before =
        parameters.stream().map(p -> check.read(Objects.requireNonNull(p.gradient()))).toList();

    Tape tape = Tape.recording(check.backend(), check.scratch());
    Tensor y = Recompute.forward(tape, tape.retain(x), this::block).getFirst();
    tape.giveGradient(y, tape.retain(dy));
    tape.release(y);
    assertThat(runs).isEqualTo(1);
    double[] gradient = check.read(tape.backward(x));
    assertThat(runs).as("runs of the segment with its gradient").isEqualTo(2);

    check.verify("x", x, gradient, loss);
    for (int p = 0; p < parameters.size(); p++) {
      Parameter parameter = parameters.get(p);
      double[] added = check.added(parameter.trainedGradient(), before.get(p));
      check.verify(parameter.name(), parameter.value(), added, loss);
    }
  }

  @Test
  void onlyTheInputIsKept() {
    int start = check.scratch().liveBuffers();
    Tape tape = Tape.recording(check.backend(), check.scratch());
    Tensor x = check.normal(TOKENS, HIDDEN);
    Tensor y = Recompute.forward(tape, x, this::block).getFirst();
    assertThat(tape.operations()).hasSize(1);
    assertThat(check.scratch().liveBuffers() - start).as("x and y").isEqualTo(2);
    tape.giveGradient(y, y);
    tape.release(tape.backward(x));
    assertThat(check.scratch().liveBuffers()).isEqualTo(start);
  }

  /** Backward needs the input of a segment's last product, not its result. */
  @Test
  void theLastProductIsNotComputedAgain() {
    List<String> calls = new ArrayList<>();
    Backend counting =
        (Backend)
            Proxy.newProxyInstance(
                getClass().getClassLoader(),
                new Class<?>[] {Backend.class},
                (proxy, method, arguments) -> {
                  calls.add(method.getName());
                  return method.invoke(check.backend(), arguments);
                });
    Tape tape = Tape.recording(counting, check.scratch());
    Tensor x = check.normal(TOKENS, HIDDEN);
    Tensor y =
        Recompute.forward(
                tape,
                x,
                (run, input) -> {
                  Tensor wide = Linear.forward(run, input, up, null);
                  return List.of(Linear.forward(run, Swiglu.forward(run, wide), down, null));
                })
            .getFirst();
    assertThat(calls).containsExactly("linearForward", "swigluForward", "linearForward");
    calls.clear();
    tape.giveGradient(y, check.normal(TOKENS, HIDDEN));
    tape.release(tape.backward(x));
    assertThat(calls)
        .startsWith("linearForward", "swigluForward", "linearBackwardWeight")
        .containsOnlyOnce("linearForward");
  }

  /** The norm writes the sum where its second addend was; the segment's input must survive that. */
  @Test
  void aSegmentMayAddToItsInputInPlace() {
    Tensor x = check.normal(TOKENS, HIDDEN);
    Tensor other = check.normal(TOKENS, HIDDEN);
    double[] values = check.read(x);
    Tape tape = Tape.recording(check.backend(), check.scratch());
    Tensor y =
        Recompute.forward(
                tape,
                x,
                (run, input) -> {
                  assertThat(check.read(input)).isEqualTo(values);
                  AddRmsNorm.Result normed =
                      AddRmsNorm.forward(run, run.retain(input), input, norm, EPSILON);
                  run.release(normed.sum());
                  return List.of(normed.y());
                })
            .getFirst();
    tape.giveGradient(y, check.normal(TOKENS, HIDDEN));
    assertThat(check.read(tape.backward(x))).isNotEqualTo(check.read(other));
  }
}
