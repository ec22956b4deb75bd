package io.panatron.cli;

import io.panatron.kernels.Backend;
import io.panatron.kernels.BackendUnavailableException;
import io.panatron.kernels.backends.Backends;
import io.panatron.runtime.UserError;
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
    return switch (device) {
      case "auto", "cpu" -> cpu(threads);
      case "reference" -> Backends.reference();
      case "cuda" ->
          throw new UserError(
              "--device cuda is not supported yet; use --device cpu, or leave it out.");
      default -> throw new UserError("--device " + device + " is unknown");
    };
  }

  private static Backend cpu(@Nullable Integer threads) {
    int cores = Runtime.getRuntime().availableProcessors();
    try {
      return Backends.cpu(threads == null ? cores : threads, System.getenv());
    } catch (BackendUnavailableException e) {
      throw new UserError(String.valueOf(e.getMessage()), e);
    }
  }
}
