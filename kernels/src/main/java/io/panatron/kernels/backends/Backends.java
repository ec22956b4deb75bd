package io.panatron.kernels.backends;

import io.panatron.kernels.Backend;
import io.panatron.kernels.reference.ReferenceBackend;

/** Opens the backends. */
public final class Backends {
  private Backends() {}

  /** The oracle: plain loops on the host, F64 and F32, sums in double. For tests; slow. */
  public static Backend reference() {
    return new ReferenceBackend();
  }
}
