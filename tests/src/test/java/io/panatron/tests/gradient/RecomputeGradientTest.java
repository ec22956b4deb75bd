package io.panatron.tests.gradient;

import static org.assertj.core.api.Assertions.assertThat;

import io.panatron.kernels.Tensor;
import io.panatron.runtime.autograd.AddRmsNorm;
import io.panatron.runtime.autograd.Linear;
import io.panatron.runtime.autograd.Op;
import io.panatron.runtime.autograd.Parameter;
import io.panatron.runtime.autograd.Recompute;
import io.panatron.runtime.autograd.ResidualAdd;
import io.panatron.runtime.autograd.Swiglu;
import io.panatron.runtime.autograd.Tape;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
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
  private final Set<String> recorded = new TreeSet<>();
  private int runs;

  @AfterEach
  void verifyMemory() {
    check.close();
  }

  private Parameter parameter(String name, long... extents) {
    return new Parameter(name, check.normal(extents), check.normal(extents));
  }

  /** {@code x + down(swiglu(up(norm(x))))}, without the normalised x. */
  private Tensor block(Tape tape, Tensor x) {
    runs++;
    AddRmsNorm.Result normed = AddRmsNorm.forward(tape, x, null, norm, EPSILON);
    Tensor wide = Linear.forward(tape, normed.y(), up, null);
    AddRmsNorm.discardNormalised(tape, normed, norm, EPSILON);
    Tensor output = Linear.forward(tape, Swiglu.forward(tape, wide), down, null);
    Tensor sum = ResidualAdd.forward(tape, normed.sum(), output);
    tape.operations().forEach(op -> recorded.add(op.getClass().getSimpleName()));
    return sum;
  }

  @Test
  void theGradientIsTheSlopeInTheInputAndInEveryWeight() {
    Tensor x = check.normal(TOKENS, HIDDEN);
    Tensor dy = check.normal(TOKENS, HIDDEN);
    DoubleSupplier loss =
        () -> {
          Tape tape = Tape.inference(check.backend(), check.scratch());
          Tensor y = Recompute.forward(tape, tape.retain(x), this::block);
          double sum = check.weigh(dy, y);
          tape.release(y);
          return sum;
        };
    List<Parameter> parameters = List.of(norm, up, down);
    List<double[]> before =
        parameters.stream().map(p -> check.read(Objects.requireNonNull(p.gradient()))).toList();

    Tape tape = Tape.recording(check.backend(), check.scratch());
    Tensor y = Recompute.forward(tape, tape.retain(x), this::block);
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
    Tensor y = Recompute.forward(tape, x, this::block);
    assertThat(tape.operations()).hasSize(1);
    assertThat(check.scratch().liveBuffers() - start).as("x and y").isEqualTo(2);
    tape.giveGradient(y, y);
    tape.release(tape.backward(x));
    assertThat(check.scratch().liveBuffers()).isEqualTo(start);
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
              return normed.y();
            });
    tape.giveGradient(y, check.normal(TOKENS, HIDDEN));
    assertThat(check.read(tape.backward(x))).isNotEqualTo(check.read(other));
  }

  /** What a segment records when it runs again stands on a tape of its own. */
  static Set<String> recordedInside() {
    RecomputeGradientTest test = new RecomputeGradientTest();
    try (test.check) {
      test.block(
          Tape.recording(test.check.backend(), test.check.scratch()),
          test.check.normal(TOKENS, HIDDEN));
      return test.recorded;
    }
  }

  @Test
  void everyOperationOfTheBlockIsRecorded() {
    assertThat(recordedInside())
        .isEqualTo(
            Set.of(
                simpleName(AddRmsNorm.class),
                simpleName(Linear.class),
                "DiscardOutputs",
                simpleName(Swiglu.class),
                simpleName(ResidualAdd.class)));
  }

  private static String simpleName(Class<? extends Op> type) {
    return type.getSimpleName();
  }
}
