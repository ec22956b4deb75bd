package io.panatron.kernels.backends;

import io.panatron.kernels.Network;
import io.panatron.kernels.local.LocalNetwork;

/** Opens the networks between ranks. */
public final class Networks {
  private Networks() {}

  /** Between ranks that are threads of this virtual machine and compute in the host's memory. */
  public static Network local(int size, Network.Settings settings) {
    return new LocalNetwork(size, settings);
  }
}
