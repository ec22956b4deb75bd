package io.panatron.runtime.checkpoint;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;

/** Fills a folder under a hidden name and takes it away again when that fails. */
final class TemporaryFolder {
  private TemporaryFolder() {}

  /** Fills the folder, and last renames it to its real name. */
  @FunctionalInterface
  interface Filling {
    void run() throws IOException;
  }

  /**
   * Creates {@code folder} and runs {@code filling}, after which {@code folder} has been renamed. A
   * failure of any kind removes it and goes on to the caller.
   */
  static void fill(CheckpointFiles system, Path folder, Filling filling) throws IOException {
    system.createDirectory(folder);
    try {
      filling.run();
    } catch (IOException | RuntimeException | Error failure) {
      try {
        if (Files.exists(folder)) {
          system.deleteTree(folder);
        }
      } catch (IOException | RuntimeException e) {
        failure.addSuppressed(e);
      }
      throw failure;
    }
  }

  /** A number of bytes for people: {@code 1.4 GB}. */
  static String readable(long bytes) {
    String[] units = {"bytes", "kB", "MB", "GB", "TB"};
    double value = bytes;
    int unit = 0;
    while (value >= 1000 && unit < units.length - 1) {
      value /= 1000;
      unit++;
    }
    return unit == 0 ? bytes + " bytes" : String.format(Locale.ROOT, "%.1f %s", value, units[unit]);
  }
}
