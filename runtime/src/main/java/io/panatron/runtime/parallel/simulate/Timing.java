package io.panatron.runtime.parallel.simulate;

import io.panatron.runtime.parallel.pipeline.Action;
import io.panatron.runtime.parallel.pipeline.Transfer;

/** How long passes and transfers take; in any one unit. */
public interface Timing {
  /** Duration of a pass on a rank; at least 0. */
  double pass(int rank, Action.Pass pass);

  /** Time from the start of a transfer to its end; at least 0. */
  double transfer(int sender, Transfer transfer);

  /**
   * Passes that take the same time on all ranks; transfers take none.
   *
   * @param forward duration of the forward passes of a micro-batch through all chunks of a rank
   * @param backward the same backward
   * @param chunks among which both are divided
   */
  static Timing equal(double forward, double backward, int chunks) {
    return new Timing() {
      @Override
      public double pass(int rank, Action.Pass pass) {
        return (pass instanceof Action.Forward ? forward : backward) / chunks;
      }

      @Override
      public double transfer(int sender, Transfer transfer) {
        return 0;
      }
    };
  }
}
