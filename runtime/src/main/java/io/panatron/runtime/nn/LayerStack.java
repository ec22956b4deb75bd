package io.panatron.runtime.nn;

import io.panatron.kernels.Tensor;
import io.panatron.runtime.autograd.Recompute;
import io.panatron.runtime.autograd.ResidualAdd;
import io.panatron.runtime.autograd.Tape;
import java.util.List;

/**
 * The decoder layers one after the other, keeping for backward what a plan says.
 *
 * <p>Between two recomputed units the residual addition is done at once: one tensor [tokens,
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
      Tensor output =
          Recompute.forward(
              tape,
              added(tape, reached),
              (again, input) ->
                  added(again, run(again, unit, new ResidualStream(input, null), context)));
      reached = new ResidualStream(output, null);
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
