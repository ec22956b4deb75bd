package io.panatron.runtime.observe;

import java.io.Console;
import java.io.PrintWriter;
import java.math.BigDecimal;
import java.math.MathContext;
import java.time.Duration;
import java.util.Map;
import java.util.stream.Collectors;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;
import org.jspecify.annotations.Nullable;

/** Shows a run's progress: a bar on a terminal, plain lines everywhere else. */
public final class ProgressDisplay implements AutoCloseable {
  private final PrintWriter out;
  private final @Nullable ProgressBar bar;

  private ProgressDisplay(PrintWriter out, @Nullable ProgressBar bar) {
    this.out = out;
    this.bar = bar;
  }

  /** Plain lines: nothing but what is logged. */
  public static ProgressDisplay lines(PrintWriter out) {
    return new ProgressDisplay(out, null);
  }

  /**
   * A bar if the program's output is a terminal, else plain lines.
   *
   * @param done iterations done before
   * @param total iterations of the whole run
   */
  public static ProgressDisplay open(PrintWriter out, long done, long total) {
    Console console = System.console();
    if (console == null || !console.isTerminal()) {
      return lines(out);
    }
    return new ProgressDisplay(
        out,
        new ProgressBarBuilder()
            .setTaskName("Train")
            .setStyle(ProgressBarStyle.ASCII)
            .setInitialMax(total)
            .startsFrom(done, Duration.ZERO)
            .setUpdateIntervalMillis(500)
            .build());
  }

  /** Moves the bar. */
  public void step(long iteration, double loss) {
    if (bar != null) {
      bar.stepTo(iteration);
      bar.setExtraMessage("loss %.4f".formatted(loss));
    }
  }

  /** Prints a log row. */
  public void row(Map<String, ?> row) {
    message(
        row.entrySet().stream()
            .map(entry -> entry.getKey() + ": " + readable(entry.getValue()))
            .collect(Collectors.joining(", ", "{", "}")));
  }

  /** Prints a line, above the bar if there is one. */
  public void message(String text) {
    out.println(text);
    out.flush();
  }

  /** Eight significant digits are enough to read; the log file has them all. */
  private static String readable(Object value) {
    if (!(value instanceof Double number) || !Double.isFinite(number)) {
      return String.valueOf(value);
    }
    BigDecimal rounded = new BigDecimal(number).round(new MathContext(8)).stripTrailingZeros();
    return Math.abs(rounded.scale()) > 12 ? rounded.toString() : rounded.toPlainString();
  }

  @Override
  public void close() {
    if (bar != null) {
      bar.close();
    }
  }
}
