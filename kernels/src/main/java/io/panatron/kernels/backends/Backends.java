package io.panatron.kernels.backends;

import io.panatron.bindings.NativeLibraries;
import io.panatron.bindings.NativeLibraryException;
import io.panatron.kernels.Backend;
import io.panatron.kernels.BackendUnavailableException;
import io.panatron.kernels.Workload;
import io.panatron.kernels.cpu.CpuBackend;
import io.panatron.kernels.reference.ReferenceBackend;
import java.util.Map;

/** Opens the backends. */
public final class Backends {
  private Backends() {}

  /** The oracle: plain loops on the host, F64 and F32, sums in double. For tests; slow. */
  public static Backend reference() {
    return new ReferenceBackend();
  }

  /** The CPU, for training. */
  public static Backend cpu(int threads, Map<String, String> environment) {
    return cpu(threads, environment, Workload.TRAINING);
  }

  /**
   * The CPU: F32, BF16 and F16, oneDNN and vectors. Has the loops of the workload compiled on
   * another thread for about a second from now on; it can compute everything else too.
   *
   * @param threads how many threads work on an operation; at least 1
   * @param environment where to look up the user's cache folder, such as {@code System.getenv()}
   * @throws BackendUnavailableException if oneDNN cannot be loaded
   */
  public static Backend cpu(int threads, Map<String, String> environment, Workload workload) {
    try {
      return CpuBackend.compilingEarly(threads, NativeLibraries.cacheFolder(environment), workload);
    } catch (NativeLibraryException e) {
      throw new BackendUnavailableException(String.valueOf(e.getMessage()), e);
    }
  }
}
