package io.panatron.runtime.nn;

import io.panatron.kernels.Tensor;
import io.panatron.runtime.autograd.Recompute;
import io.panatron.runtime.autograd.ResidualAdd;
import io.panatron.runtime.autograd.Tape;
import java.util.List;
import java.util.Objects;

/**
 * The decoder layers one after the other, keeping for backward what a plan says.
 *
 * <p>Before a recomputed unit the residual addition is done by itself, so that one tensor [tokens,
 * hidden] for each unit is all that stays.
 *
 * @param recompute followed where a tape records; evaluation and generation keep nothing anyway
 */
public record LayerStack(List<DecoderLayer> layers, RecomputePlan recompute) {

  /** Takes over both parts of the stream; returns the stream after the last layer. */
  public ResidualStream forward(Tape tape, ResidualStream stream, SequenceContext context) {
    if (!tape.isRecording()) {
      return run(tape, layers, stream, context);
    }
    ResidualStream reached = stream;
    for (List<DecoderLayer> unit : recompute.units(layers)) {
      List<Tensor> parts =
          Recompute.forward(
              tape,
              added(tape, reached),
              (again, sum) -> {
                var end = run(again, unit, new ResidualStream(sum, null), context);
                return List.of(end.sum(), Objects.requireNonNull(end.delta()));
              });
      reached = new ResidualStream(parts.get(0), parts.get(1));
    }
    List<DecoderLayer> rest = layers.subList(recompute.coveredLayers(), layers.size());
    return run(tape, rest, reached, context.recomputing(recompute.modules()));
  }

  private static ResidualStream run(
      Tape tape, List<DecoderLayer> layers, ResidualStream stream, SequenceContext context) {
    ResidualStream reached = stream;
    for (DecoderLayer layer : layers) {
      reached = layer.forward(tape, reached, context);
    }
    return reached;
  }

  private static Tensor added(Tape tape, ResidualStream stream) {
    return stream.delta() == null
        ? stream.sum()
        : ResidualAdd.forward(tape, stream.sum(), stream.delta());
  }
}
