package io.panatron.cli;

import io.panatron.kernels.Backend;
import io.panatron.kernels.BackendUnavailableException;
import io.panatron.kernels.MemoryPool;
import io.panatron.kernels.Workload;
import io.panatron.kernels.backends.Backends;
import io.panatron.runtime.UserError;
import io.panatron.runtime.observe.AllocationEvent;
import io.panatron.runtime.parallel.RankContext;
import org.jspecify.annotations.Nullable;

/** Opens the backend that {@code --device} and {@code --threads} ask for. */
final class DeviceChoice {
  private DeviceChoice() {}

  /**
   * Opens a backend.
   *
   * @param device auto, cpu, cuda or reference
   * @param threads CPU threads; null for all cores
   * @throws UserError if the device is not there
   */
  static Backend open(String device, @Nullable Integer threads) {
    return open(device, threads, Workload.TRAINING);
  }

  private static Backend open(String device, @Nullable Integer threads, Workload workload) {
    return switch (device) {
      case "auto", "cpu" -> cpu(threads, workload);
      case "reference" -> Backends.reference();
      case "cuda" ->
          throw new UserError(
              "--device cuda is not supported yet; use --device cpu, or leave it out.");
      default -> throw new UserError("--device " + device + " is unknown");
    };
  }

  /**
   * Opens the only rank of a run, with its memory.
   *
   * @throws UserError if the device is not there
   */
  static RankContext openRank(String device, @Nullable Integer threads) {
    return openRank(device, threads, Workload.TRAINING);
  }

  /** As {@link #openRank(String, Integer)}, prepared for a workload. */
  static RankContext openRank(String device, @Nullable Integer threads, Workload workload) {
    Backend backend = open(device, threads, workload);
    return RankContext.single(backend, new MemoryPool(backend.device(), AllocationEvent::emit));
  }

  private static Backend cpu(@Nullable Integer threads, Workload workload) {
    int cores = Runtime.getRuntime().availableProcessors();
    try {
      return Backends.cpu(threads == null ? cores : threads, System.getenv(), workload);
    } catch (BackendUnavailableException e) {
      throw new UserError(String.valueOf(e.getMessage()), e);
    }
  }
}
