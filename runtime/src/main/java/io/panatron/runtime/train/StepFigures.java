package io.panatron.runtime.train;

import io.panatron.kernels.Backend;
import io.panatron.kernels.MemoryPool;
import io.panatron.runtime.data.MicroBatch;
import io.panatron.runtime.model.FlopCount;
import io.panatron.runtime.observe.LengthStatistics;
import io.panatron.runtime.optim.Optimizer;
import java.util.List;
import java.util.OptionalDouble;

/** Measures what the result of a step does not tell; asked only for what is to be shown. */
final class StepFigures implements TrainingObserver {
  private static final double TERA = 1e12;

  private final FlopCount flopCount;
  private final Optimizer optimizer;
  private final Backend backend;
  private final MemoryPool memory;
  private final OptionalDouble peakFlops;
  private final LengthStatistics lengths = new LengthStatistics();
  private double flops;
  private long waitNanos;
  private long normIteration = -1;
  private double norm;

  /**
   * @param peakFlops what the device could do in a second, if that is known
   */
  StepFigures(
      FlopCount flopCount,
      Optimizer optimizer,
      Backend backend,
      MemoryPool memory,
      OptionalDouble peakFlops) {
    this.flopCount = flopCount;
    this.optimizer = optimizer;
    this.backend = backend;
    this.memory = memory;
    this.peakFlops = peakFlops;
  }

  @Override
  public void onBatch(List<MicroBatch> batch, long nanos) {
    waitNanos = nanos;
    flops = 0;
    for (MicroBatch micro : batch) {
      int[] starts = micro.sequenceStarts();
      for (int s = 1; s < starts.length; s++) {
        int length = starts[s] - starts[s - 1];
        lengths.add(Math.max(length, 1));
        flops += flopCount.of(length);
      }
    }
  }

  /** Operations of the step that is under way or was done last. */
  double flops() {
    return flops;
  }

  /** How long that step waited for its data. */
  long waitNanos() {
    return waitNanos;
  }

  /** The sequences trained on so far. */
  LengthStatistics lengths() {
    return lengths;
  }

  MemoryPool memory() {
    return memory;
  }

  /** Operations a second, in units of 10^12. */
  static double teraFlops(double flops, double seconds) {
    return flops / Math.max(seconds, 1e-9) / TERA;
  }

  /** The share of the device's peak that was used; empty where the peak is unknown. */
  OptionalDouble utilization(double teraFlops) {
    return peakFlops.isEmpty()
        ? OptionalDouble.empty()
        : OptionalDouble.of(teraFlops * TERA / peakFlops.getAsDouble());
  }

  /**
   * The L2 norm of all main parameters after an iteration, read once however often it is asked; of
   * the model's values where main parameters are stored narrow or shared out among ranks.
   */
  double paramsNorm(long iteration) {
    if (iteration != normIteration) {
      norm = Math.sqrt(backend.sumOfSquares(optimizer.wholeParameters()));
      normIteration = iteration;
    }
    return norm;
  }
}
