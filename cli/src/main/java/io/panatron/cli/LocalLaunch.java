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
  private static final Duration GRACE = Duration.ofSeconds(30);

  private LocalLaunch() {}

  /**
   * Runs a function on every rank.
   *
   * @param threads CPU threads of all ranks together, at least one for each; null for all cores
   * @param watch over what the ranks exchange
   * @param function returns something on the main rank
   * @return what the main rank returned
   */
  static <T> T run(
      ParallelSizes sizes,
      String device,
      @Nullable Integer threads,
      Network.Settings watch,
      LocalRanks.RankFunction<Optional<T>> function) {
    int cores = threads == null ? Runtime.getRuntime().availableProcessors() : threads;
    LocalRanks.Devices devices =
        new LocalRanks.Devices() {
          @Override
          public Backend openBackend(int rank) {
            int own = cores / sizes.world() + (rank < cores % sizes.world() ? 1 : 0);
            return DeviceChoice.open(device, Math.max(1, own));
          }

          @Override
          public MemoryPool openMemory(Backend backend) {
            return new MemoryPool(backend.device(), AllocationEvent::emit);
          }
        };
    Network network = Networks.local(sizes.world(), watch);
    return new LocalRanks(sizes, network, devices, GRACE)
        .run(function)
        .getFirst()
        .orElseThrow(() -> new IllegalStateException("the main rank returned nothing"));
  }
}
