package io.panatron.runtime.hub;

import java.io.PrintWriter;
import java.util.Locale;
import java.util.concurrent.TimeUnit;

/**
 * Tells the user what is fetched: on a terminal a line that is written over while bytes come, and
 * everywhere a line for each large file that is there.
 */
final class HubProgress {
  private static final long LARGE_BYTES = 10_000_000;
  private static final long REDRAW_NANOS = TimeUnit.MILLISECONDS.toNanos(500);

  private final PrintWriter out;
  private final boolean terminal;
  private HubFile file = new HubFile("", -1, null);
  private long had;
  private long begun;
  private long drawn;
  private boolean drawing;

  HubProgress(PrintWriter out, boolean terminal) {
    this.out = out;
    this.terminal = terminal;
  }

  /** A line of its own. */
  void note(String line) {
    wipe();
    out.println(line);
    out.flush();
  }

  /**
   * A file is about to come.
   *
   * @param existing bytes of it that an earlier try left
   */
  void begin(HubFile coming, long existing) {
    file = coming;
    had = existing;
    begun = System.nanoTime();
    drawn = 0;
    if (existing > 0) {
      note("Fetching          %s goes on at %s".formatted(coming.path(), bytes(existing)));
    }
  }

  /** So many bytes came since the try began. */
  void received(long received) {
    long now = System.nanoTime();
    if (!terminal || now - Math.max(drawn, begun) < REDRAW_NANOS) {
      return;
    }
    drawn = now;
    drawing = true;
    double seconds = (now - begun) / 1e9;
    String of = file.size() < 0 ? "" : " of " + bytes(file.size());
    out.printf(
        Locale.ROOT,
        "\r\u001b[KFetching          %s: %s%s, %s/s",
        file.path(),
        bytes(had + received),
        of,
        bytes((long) (received / Math.max(seconds, 1e-3))));
    out.flush();
  }

  /** The file is whole and in the cache. */
  void end(HubFile whole) {
    wipe();
    if (whole.size() >= LARGE_BYTES) {
      note(
          String.format(
              Locale.ROOT,
              "Fetched           %s, %s in %.1f s",
              whole.path(),
              bytes(whole.size()),
              (System.nanoTime() - begun) / 1e9));
    }
  }

  private void wipe() {
    if (drawing) {
      out.print("\r\u001b[K");
      drawing = false;
    }
  }

  private static String bytes(long count) {
    return count < 1_000_000
        ? String.format(Locale.ROOT, "%.1f kB", count / 1e3)
        : count < 1_000_000_000
            ? String.format(Locale.ROOT, "%.1f MB", count / 1e6)
            : String.format(Locale.ROOT, "%.2f GB", count / 1e9);
  }
}
