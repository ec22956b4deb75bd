package io.panatron.runtime.parallel.simulate;

import java.util.List;

/**
 * What a simulated step took.
 *
 * @param duration from the start of the step until the last rank is done
 * @param busy time in which each rank computes
 * @param activations most micro-batches (times chunks) that each rank kept activations of at once
 * @param passes forward and backward passes of all ranks
 */
public record SimulationResult(
    double duration, List<Double> busy, List<Integer> activations, long passes) {
  public SimulationResult {
    busy = List.copyOf(busy);
    activations = List.copyOf(activations);
  }

  /** Share of all ranks' time in which they wait, from 0 to 1. */
  public double bubble() {
    double computed = busy.stream().mapToDouble(Double::doubleValue).sum();
    return duration == 0 ? 0 : 1 - computed / (duration * busy.size());
  }
}
