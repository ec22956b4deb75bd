package io.panatron.runtime.observe;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;

/** What the system says of this process. */
public final class ProcessFigures {
  private ProcessFigures() {}

  /** Wall time since the process was started, the virtual machine's own start included. */
  public static double secondsSinceStart() {
    Instant now = Instant.now();
    Instant start = ProcessHandle.current().info().startInstant().orElse(now);
    return Duration.between(start, now).toNanos() * 1e-9;
  }

  /**
   * The most memory that was resident at one time, in bytes.
   *
   * @throws IOException if the system does not tell
   */
  public static long peakResidentBytes() throws IOException {
    for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
      if (line.startsWith("VmHWM:")) {
        return Long.parseLong(line.replaceAll("\\D", "")) << 10;
      }
    }
    throw new IOException("/proc/self/status has no VmHWM line");
  }
}
