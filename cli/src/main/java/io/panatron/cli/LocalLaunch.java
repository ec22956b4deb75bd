package io.panatron.cli;

import io.panatron.kernels.Backend;
import io.panatron.kernels.MemoryPool;
import io.panatron.kernels.Network;
import io.panatron.kernels.backends.Networks;
import io.panatron.runtime.observe.AllocationEvent;
import io.panatron.runtime.parallel.LocalRanks;
import io.panatron.runtime.parallel.topology.ParallelSizes;
import java.time.Duration;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** Runs the ranks of one machine as threads, which divide its cores among them. */
final class LocalLaunch {
  /** As long as Megatron-Core waits in a collective ({@code --distributed_timeout_minutes}). */
  private static final Duration TIMEOUT = Duration.ofMinutes(10);

  private static final Duration GRACE = Duration.ofSeconds(30);

  private LocalLaunch() {}

  /**
   * Runs a function on every rank.
   *
   * @param threads CPU threads of all ranks together, at least one for each; null for all cores
   * @param function returns something on the main rank
   * @return what the main rank returned
   */
  static <T> T run(
      ParallelSizes sizes,
      String device,
      @Nullable Integer threads,
      LocalRanks.RankFunction<Optional<T>> function) {
    int cores = threads == null ? Runtime.getRuntime().availableProcessors() : threads;
    int own = Math.max(1, cores / sizes.world());
    LocalRanks.Devices devices =
        new LocalRanks.Devices() {
          @Override
          public Backend openBackend(int rank) {
            return DeviceChoice.open(device, own);
          }

          @Override
          public MemoryPool openMemory(Backend backend) {
            return new MemoryPool(backend.device(), AllocationEvent::emit);
          }
        };
    Network network = Networks.local(sizes.world(), new Network.Settings(TIMEOUT, false));
    return new LocalRanks(sizes, network, devices, GRACE)
        .run(function)
        .getFirst()
        .orElseThrow(() -> new IllegalStateException("the main rank returned nothing"));
  }
}
