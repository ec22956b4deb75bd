package io.panatron.runtime.nn;

import io.panatron.kernels.Tensor;
import io.panatron.runtime.autograd.AddRmsNorm;
import io.panatron.runtime.autograd.Parameter;
import io.panatron.runtime.autograd.Recompute;
import io.panatron.runtime.autograd.Tape;
import java.util.ArrayList;
import java.util.List;

/** One pre-norm transformer layer: attention and a gated MLP, each behind a norm and a residual. */
public record DecoderLayer(
    Parameter inputNorm,
    AttentionBlock attention,
    Parameter mlpNorm,
    MlpBlock mlp,
    double epsilon) {

  /**
   * Takes over both parts of the stream; returns the stream after this layer. What {@link
   * SequenceContext#recompute} names is not kept for backward.
   */
  public ResidualStream forward(Tape tape, ResidualStream stream, SequenceContext context) {
    AddRmsNorm.Result first =
        AddRmsNorm.forward(tape, stream.sum(), stream.delta(), inputNorm, epsilon);
    Tensor attended = attention.forward(tape, first.y(), context);
    discardNormalised(tape, first, inputNorm, context);
    AddRmsNorm.Result second = AddRmsNorm.forward(tape, first.sum(), attended, mlpNorm, epsilon);
    Tensor output =
        context.recompute().contains(RecomputeModule.MLP)
            ? Recompute.forward(tape, second.y(), (again, x) -> List.of(mlp.forward(again, x)))
                .getFirst()
            : mlp.forward(tape, second.y());
    discardNormalised(tape, second, mlpNorm, context);
    return new ResidualStream(second.sum(), output);
  }

  private void discardNormalised(
      Tape tape, AddRmsNorm.Result result, Parameter weight, SequenceContext context) {
    if (context.recompute().contains(RecomputeModule.LAYERNORM)) {
      AddRmsNorm.discardNormalised(tape, result, weight, epsilon);
    }
  }

  public List<Parameter> parameters() {
    List<Parameter> parameters = new ArrayList<>(List.of(inputNorm));
    parameters.addAll(attention.parameters());
    parameters.add(mlpNorm);
    parameters.addAll(mlp.parameters());
    return parameters;
  }
}
