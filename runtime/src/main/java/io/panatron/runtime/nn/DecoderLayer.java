package io.panatron.runtime.nn;

import io.panatron.kernels.Tensor;
import io.panatron.runtime.autograd.AddRmsNorm;
import io.panatron.runtime.autograd.Dropout;
import io.panatron.runtime.autograd.Parameter;
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

  /** Takes over both parts of the stream; returns the stream after this layer. */
  public ResidualStream forward(Tape tape, ResidualStream stream, SequenceContext context) {
    AddRmsNorm.Result first =
        AddRmsNorm.forward(tape, stream.sum(), stream.delta(), inputNorm, epsilon);
    DropoutPlan dropout = context.dropout();
    int layer = attention.layer();
    Tensor attended =
        Dropout.forward(
            tape, attention.forward(tape, first.y(), context), dropout.attentionOutput(layer));
    AddRmsNorm.Result second = AddRmsNorm.forward(tape, first.sum(), attended, mlpNorm, epsilon);
    return new ResidualStream(
        second.sum(),
        Dropout.forward(tape, mlp.forward(tape, second.y()), dropout.mlpOutput(layer)));
  }

  public List<Parameter> parameters() {
    List<Parameter> parameters = new ArrayList<>(List.of(inputNorm));
    parameters.addAll(attention.parameters());
    parameters.add(mlpNorm);
    parameters.addAll(mlp.parameters());
    return parameters;
  }
}
