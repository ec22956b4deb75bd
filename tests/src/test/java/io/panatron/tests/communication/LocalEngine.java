package io.panatron.tests.communication;

import io.panatron.kernels.Backend;
import io.panatron.kernels.MemoryPool;
import io.panatron.kernels.Network;
import io.panatron.kernels.backends.Backends;
import io.panatron.kernels.backends.Networks;
import io.panatron.runtime.parallel.LocalRanks;
import io.panatron.runtime.parallel.topology.ParallelSizes;
import io.panatron.tests.parity.BackendUnderTest;
import java.time.Duration;

/** Ranks as threads of this virtual machine. */
final class LocalEngine implements CommunicationEngine {
  private static final Duration TIMEOUT = Duration.ofSeconds(60);

  @Override
  public boolean runs(int size) {
    return true;
  }

  @Override
  public void run(int size, Body body) {
    Network network = Networks.local(size, new Network.Settings(TIMEOUT, true));
    new LocalRanks(ParallelSizes.ofWorld(size).build(), network, new ReferenceDevices(), TIMEOUT)
        .run(context -> {
          BackendUnderTest memory = new BackendUnderTest(context.backend());
          int rank = context.rank();
          body.run(new RankUnderTest(rank, size, group -> network.open(rank, group), memory));
          // After a failure it stays open: another rank may still be reading it.
          memory.close();
          return rank;
        });
  }

  /** A reference backend for each rank. */
  static final class ReferenceDevices implements LocalRanks.Devices {
    @Override
    public Backend openBackend(int rank) {
      return Backends.reference();
    }

    @Override
    public MemoryPool openMemory(Backend backend) {
      return new MemoryPool(backend.device(), (bytes, reserved) -> {});
    }
  }
}
