package io.panatron.runtime.nn;

import io.panatron.kernels.Tensor;
import io.panatron.runtime.autograd.AddLayerNorm;
import io.panatron.runtime.autograd.AddRmsNorm;
import io.panatron.runtime.autograd.Parameter;
import io.panatron.runtime.autograd.Tape;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** A norm over the hidden states of each token, with the residual addition before it. */
public sealed interface NormLayer {

  /** Takes over {@code x} and {@code delta}, both [tokens, hidden]; see {@link AddRmsNorm}. */
  AddRmsNorm.Result forward(Tape tape, Tensor x, @Nullable Tensor delta);

  /**
   * Has backward compute the normalised states again; to be called when what they were for has
   * taken place.
   */
  void discardNormalised(Tape tape, AddRmsNorm.Result result);

  List<Parameter> parameters();

  /**
   * Divides by the root mean square.
   *
   * @param weight [hidden]
   */
  record Rms(Parameter weight, double epsilon) implements NormLayer {
    @Override
    public AddRmsNorm.Result forward(Tape tape, Tensor x, @Nullable Tensor delta) {
      return AddRmsNorm.forward(tape, x, delta, weight, epsilon);
    }

    @Override
    public void discardNormalised(Tape tape, AddRmsNorm.Result result) {
      AddRmsNorm.discardNormalised(tape, result, weight, epsilon);
    }

    @Override
    public List<Parameter> parameters() {
      return List.of(weight);
    }
  }

  /**
   * Takes off the mean and divides by the standard deviation.
   *
   * @param weight [hidden]
   * @param bias [hidden]
   */
  record Layer(Parameter weight, Parameter bias, double epsilon) implements NormLayer {
    @Override
    public AddRmsNorm.Result forward(Tape tape, Tensor x, @Nullable Tensor delta) {
      return AddLayerNorm.forward(tape, x, delta, weight, bias, epsilon);
    }

    @Override
    public void discardNormalised(Tape tape, AddRmsNorm.Result result) {
      AddLayerNorm.discardNormalised(tape, result, weight, bias, epsilon);
    }

    @Override
    public List<Parameter> parameters() {
      return List.of(weight, bias);
    }
  }
}
