package io.panatron.runtime.nn;

import io.panatron.kernels.Tensor;
import io.panatron.runtime.autograd.AddRmsNorm;
import io.panatron.runtime.autograd.Parameter;
import io.panatron.runtime.autograd.Tape;
import java.util.ArrayList;
import java.util.List;

/** One pre-norm transformer layer: attention and an MLP, each behind a norm and a residual. */
public record DecoderLayer(
    NormLayer inputNorm, AttentionBlock attention, NormLayer mlpNorm, MlpBlock mlp) {

  /** Takes over both parts of the stream; returns the stream after this layer. */
  public ResidualStream forward(Tape tape, ResidualStream stream, SequenceContext context) {
    AddRmsNorm.Result first = inputNorm.forward(tape, stream.sum(), stream.delta());
    Tensor attended = attention.forward(tape, first.y(), context);
    AddRmsNorm.Result second = mlpNorm.forward(tape, first.sum(), attended);
    return new ResidualStream(second.sum(), mlp.forward(tape, second.y()));
  }

  public List<Parameter> parameters() {
    List<Parameter> parameters = new ArrayList<>(inputNorm.parameters());
    parameters.addAll(attention.parameters());
    parameters.addAll(mlpNorm.parameters());
    parameters.addAll(mlp.parameters());
    return parameters;
  }
}
