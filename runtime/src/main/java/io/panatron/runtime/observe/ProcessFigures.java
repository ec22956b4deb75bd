package io.panatron.runtime.observe;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** What the system says of this process. */
public final class ProcessFigures {
  /** Of the clock in /proc, on every architecture that runs Java 25. */
  private static final double TICKS_PER_SECOND = 100;

  private ProcessFigures() {}

  /**
   * Wall time since the process was started, the virtual machine's own start included, to 0.02 s.
   *
   * <p>From the kernel's two counts since boot: {@link ProcessHandle} adds the start to a time of
   * boot that is cut to whole seconds.
   *
   * @throws IOException if the system does not tell
   */
  public static double secondsSinceStart() throws IOException {
    String uptime = Files.readString(Path.of("/proc/uptime"));
    String status = Files.readString(Path.of("/proc/self/stat"));
    // The name of the program, in parentheses, may hold blanks; the start is the 20th after it.
    String[] fields = status.substring(status.lastIndexOf(')') + 2).split(" ", -1);
    double start = Long.parseLong(fields[19]) / TICKS_PER_SECOND;
    return Double.parseDouble(uptime.substring(0, uptime.indexOf(' '))) - start;
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
