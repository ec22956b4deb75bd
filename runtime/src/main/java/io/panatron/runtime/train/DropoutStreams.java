package io.panatron.runtime.train;

import io.panatron.runtime.nn.DropoutPlan;
import io.panatron.runtime.nn.DropoutRates;
import io.panatron.runtime.parallel.RankContext;

/**
 * Gives each micro-batch of a rank its dropout.
 *
 * <p>Micro-batches are numbered over all ranks in the order in which the sampler deals them out, so
 * data-parallel ranks drop different elements, and a batch the same ones on however many ranks it
 * is spread.
 *
 * @param seed of the run, or of the run that it continues
 * @param place the rank's place among others
 */
public record DropoutStreams(DropoutRates rates, long seed, RankContext.Coordinates place) {
  /** No dropout. */
  public static final DropoutStreams NONE =
      new DropoutStreams(DropoutRates.NONE, 0, RankContext.Coordinates.SINGLE);

  /**
   * The dropout of one forward and backward pass.
   *
   * @param iteration from 1
   * @param index of the micro-batch among those of this rank, from 0
   */
  DropoutPlan plan(long iteration, int index) {
    if (rates.areZero()) {
      return DropoutPlan.NONE;
    }
    RankContext.Axis data = place.data();
    RankContext.Axis context = place.context();
    int microBatch = (index * data.size() + data.index()) * context.size() + context.index();
    return new DropoutPlan(
        rates, seed, Math.toIntExact(iteration), microBatch, place.tensor().index());
  }
}
