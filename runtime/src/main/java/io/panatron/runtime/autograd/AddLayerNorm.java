package io.panatron.runtime.autograd;

import io.panatron.kernels.Tensor;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The residual addition and the layer norm that follows it: {@code sum = x + delta}, {@code y =
 * (sum - mean(sum)) rstd weight + bias}.
 *
 * <p><b>Shapes</b>: x, delta, sum, y: [tokens, hidden]; weight, bias: [hidden]; rstd: [tokens].
 *
 * @param delta null when the stream has nothing to add yet; {@code sum} is then {@code x}
 * @param sum saved, together with {@code rstd}
 */
public record AddLayerNorm(
    Tensor x,
    @Nullable Tensor delta,
    Parameter weight,
    Parameter bias,
    Tensor sum,
    Tensor rstd,
    Tensor y)
    implements Op {

  /** As {@link AddRmsNorm#forward}. */
  public static AddRmsNorm.Result forward(
      Tape tape,
      Tensor x,
      @Nullable Tensor delta,
      Parameter weight,
      Parameter bias,
      double epsilon) {
    long tokens = x.shape().rows();
    Tensor y = tape.allocate(weight.name(), x.dtype(), tokens, x.shape().columns());
    Tensor rstd = tape.allocate("rstd", x.dtype().accumulator(), tokens);
    Tensor sum = delta == null ? x : AddRmsNorm.sumOf(tape, delta);
    tape.backend()
        .addLayerNormForward(
            x, delta, weight.value(), bias.value(), epsilon, delta == null ? null : sum, y, rstd);
    boolean constant = AddRmsNorm.isConstant(tape, x, delta, sum);
    if (tape.records(weight.isTrained() || bias.isTrained() || !constant, y)) {
      tape.record(new AddLayerNorm(x, delta, weight, bias, tape.retain(sum), rstd, y));
    } else {
      tape.release(rstd);
    }
    if (delta != null) {
      tape.release(x);
      if (sum.buffer() != delta.buffer()) {
        tape.release(delta);
      }
    }
    return new AddRmsNorm.Result(sum, y, rstd);
  }

  /** As {@link AddRmsNorm#discardNormalised}. */
  public static void discardNormalised(
      Tape tape, AddRmsNorm.Result result, Parameter weight, Parameter bias, double epsilon) {
    if (tape.isConstant(result.y())) {
      return;
    }
    DiscardOutputs.forward(
        tape,
        List.of(result.y()),
        later ->
            later
                .backend()
                .addLayerNormForward(
                    result.sum(),
                    null,
                    weight.value(),
                    bias.value(),
                    epsilon,
                    null,
                    result.y(),
                    result.rstd()));
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
    Tensor dBias = bias.beginGradientIfTrained(tape);
    tape.backend()
        .addLayerNormBackward(
            tape.scope(), sum, weight.value(), rstd, dy, dSum, dx, dWeight, dBias);
    weight.endGradientIfTrained(tape, dWeight);
    bias.endGradientIfTrained(tape, dBias);
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
