package io.panatron.runtime.autograd;

import io.panatron.kernels.Tensor;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The residual addition and the norm that follows it: {@code sum = x + delta}, {@code y = sum rstd
 * weight} with {@code rstd = 1 / sqrt(mean(sum^2) + epsilon)}.
 *
 * <p><b>Shapes</b>: x, delta, sum, y: [tokens, hidden]; weight: [hidden]; rstd: [tokens].
 *
 * @param delta null when the stream has nothing to add yet; {@code sum} is then {@code x}
 * @param sum saved, together with {@code rstd}
 */
public record AddRmsNorm(
    Tensor x, @Nullable Tensor delta, Parameter weight, Tensor sum, Tensor rstd, Tensor y)
    implements Op {

  /**
   * The residual stream after the addition, and its norm.
   *
   * @param rstd row statistics, valid while the tape's operation holds them
   */
  public record Result(Tensor sum, Tensor y, Tensor rstd) {}

  public static Result forward(
      Tape tape, Tensor x, @Nullable Tensor delta, Parameter weight, double epsilon) {
    long tokens = x.shape().rows();
    Tensor y = tape.allocate(weight.name(), x.dtype(), tokens, x.shape().columns());
    Tensor rstd = tape.allocate("rstd", x.dtype().accumulator(), tokens);
    Tensor sum = delta == null ? x : sumOf(tape, delta);
    tape.backend()
        .addRmsNormForward(x, delta, weight.value(), epsilon, delta == null ? null : sum, y, rstd);
    boolean constant = isConstant(tape, x, delta, sum);
    if (tape.records(weight.isTrained() || !constant, y)) {
      tape.record(new AddRmsNorm(x, delta, weight, tape.retain(sum), rstd, y));
    } else {
      tape.release(rstd);
    }
    if (delta != null) {
      tape.release(x);
      if (sum.buffer() != delta.buffer()) {
        tape.release(delta);
      }
    }
    return new Result(sum, y, rstd);
  }

  /** Whether the sum is constant, which is noted. */
  static boolean isConstant(Tape tape, Tensor x, @Nullable Tensor delta, Tensor sum) {
    boolean constant = tape.isConstant(x) && (delta == null || tape.isConstant(delta));
    if (constant) {
      tape.markConstant(sum);
    }
    return constant;
  }

  /**
   * The delta is the output of a projection, which saves no output: its memory becomes the sum's,
   * unless somebody else needs it.
   */
  static Tensor sumOf(Tape tape, Tensor delta) {
    return tape.isExclusive(delta)
        ? new Tensor(delta.buffer(), delta.offset(), delta.shape(), delta.dtype())
        : tape.scope().allocate("residual", delta.dtype(), delta.shape());
  }

  /**
   * Lets backward compute {@code y} again from the sum, which is kept anyway; to be called when the
   * operation that {@code y} was for has taken place.
   */
  public static void discardNormalised(Tape tape, Result result, Parameter weight, double epsilon) {
    if (tape.isConstant(result.y())) {
      return;
    }
    DiscardOutputs.forward(
        tape,
        List.of(result.y()),
        later ->
            later
                .backend()
                .addRmsNormForward(
                    result.sum(), null, weight.value(), epsilon, null, result.y(), result.rstd()));
  }

  @Override
  public void backward(Tape tape) {
    Tensor dy = tape.takeGradient(y);
    Tensor dSum = tape.takeGradientIfAny(sum);
    Tensor dx;
    if (dSum != null && tape.isExclusive(dSum)) {
      dx = tape.retain(dSum);
    } else if (tape.isExclusive(dy)) {
      dx = tape.retain(dy);
    } else {
      dx =
          tape.allocate(weight.name() + " dx", dy.dtype(), dy.shape().rows(), dy.shape().columns());
    }
    Tensor dWeight = weight.beginGradientIfTrained(tape);
    tape.backend()
        .addRmsNormBackward(tape.scope(), sum, weight.value(), rstd, dy, dSum, dx, dWeight);
    weight.endGradientIfTrained(tape, dWeight);
    tape.release(dy);
    if (dSum != null) {
      tape.release(dSum);
    }
    tape.release(sum);
    tape.release(rstd);
    if (delta != null) {
      tape.giveGradient(delta, tape.retain(dx));
    }
    tape.giveGradient(x, dx);
  }
}
