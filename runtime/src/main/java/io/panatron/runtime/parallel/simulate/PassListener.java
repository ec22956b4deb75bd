package io.panatron.runtime.parallel.simulate;

import io.panatron.runtime.parallel.pipeline.Action;

/** Hears of each pass that a simulation runs; of one rank in order, of several in any. */
@FunctionalInterface
public interface PassListener {
  /** Hears nothing. */
  PassListener NONE = (rank, pass, start, end) -> {};

  void passed(int rank, Action.Pass pass, double start, double end);
}
