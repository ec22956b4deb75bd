package io.panatron.runtime.nn;

import io.panatron.kernels.Tensor;
import io.panatron.runtime.autograd.AddRmsNorm;
import io.panatron.runtime.autograd.Dropout;
import io.panatron.runtime.autograd.Parameter;
import io.panatron.runtime.autograd.Recompute;
import io.panatron.runtime.autograd.Tape;
import java.util.ArrayList;
import java.util.List;

/** One pre-norm transformer layer: attention and an MLP, each behind a norm and a residual. */
public record DecoderLayer(
    NormLayer inputNorm, AttentionBlock attention, NormLayer mlpNorm, MlpBlock mlp) {

  /**
   * Takes over both parts of the stream; returns the stream after this layer. What {@link
   * SequenceContext#recompute} names is not kept for backward.
   */
  public ResidualStream forward(Tape tape, ResidualStream stream, SequenceContext context) {
    DropoutPlan dropout = context.dropout();
    int layer = attention.layer();
    AddRmsNorm.Result first = inputNorm.forward(tape, stream.sum(), stream.delta());
    Tensor attended = attention.forward(tape, first.y(), context);
    discardNormalised(tape, first, inputNorm, context);
    attended = Dropout.forward(tape, attended, dropout.attentionOutput(layer));
    AddRmsNorm.Result second = mlpNorm.forward(tape, first.sum(), attended);
    Tensor output =
        context.recompute().contains(RecomputeModule.MLP)
            ? Recompute.forward(
                    tape, second.y(), (again, x) -> List.of(mlp.forward(again, x, dropout)))
                .getFirst()
            : mlp.forward(tape, second.y(), dropout);
    discardNormalised(tape, second, mlpNorm, context);
    return new ResidualStream(
        second.sum(), Dropout.forward(tape, output, dropout.mlpOutput(layer)));
  }

  private static void discardNormalised(
      Tape tape, AddRmsNorm.Result result, NormLayer norm, SequenceContext context) {
    if (context.recompute().contains(RecomputeModule.LAYERNORM)) {
      norm.discardNormalised(tape, result);
    }
  }

  public List<Parameter> parameters() {
    List<Parameter> parameters = new ArrayList<>(inputNorm.parameters());
    parameters.addAll(attention.parameters());
    parameters.addAll(mlpNorm.parameters());
    parameters.addAll(mlp.parameters());
    return parameters;
  }
}
