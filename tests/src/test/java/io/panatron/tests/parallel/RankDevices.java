package io.panatron.tests.parallel;

import io.panatron.kernels.Backend;
import io.panatron.kernels.MemoryPool;
import io.panatron.kernels.Network;
import io.panatron.kernels.backends.Backends;
import io.panatron.kernels.backends.Networks;
import io.panatron.runtime.parallel.LocalRanks;
import io.panatron.runtime.parallel.topology.ParallelSizes;
import java.time.Duration;
import java.util.List;
import java.util.function.Supplier;

/** Opens a backend of one kind for each rank, and runs ranks as threads. */
public enum RankDevices implements LocalRanks.Devices {
  REFERENCE(Backends::reference),
  CPU(() -> Backends.cpu(1, System.getenv()));

  private static final Duration TIMEOUT = Duration.ofMinutes(2);

  private final Supplier<Backend> backend;

  RankDevices(Supplier<Backend> backend) {
    this.backend = backend;
  }

  @Override
  public Backend openBackend(int rank) {
    return backend.get();
  }

  @Override
  public MemoryPool openMemory(Backend opened) {
    return new MemoryPool(opened.device(), (bytes, reserved) -> {});
  }

  /** What the function returns on each rank. */
  public <T> List<T> run(ParallelSizes sizes, LocalRanks.RankFunction<T> function) {
    Network network = Networks.local(sizes.world(), new Network.Settings(TIMEOUT, true));
    return new LocalRanks(sizes, network, this, TIMEOUT).run(function);
  }
}
