package io.panatron.cli;

import io.panatron.runtime.UserError;
import io.panatron.runtime.observe.report.HtmlReport;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code trainer report}: one HTML page about a run, or comparing several. */
@Command(
    name = "report",
    sortOptions = false,
    description = "Make one HTML page about a training run, or comparing several.")
final class ReportCommand implements Callable<Integer> {
  @Parameters(
      arity = "1..*",
      paramLabel = "RUN",
      description = "Run folders, each with a logging.jsonl.")
  private List<Path> runs = new ArrayList<>();

  @Option(
      names = "--out",
      paramLabel = "FILE",
      defaultValue = HtmlReport.NAME,
      description = "Where to write the page; default: " + HtmlReport.NAME + ".")
  private Path out = Path.of(HtmlReport.NAME);

  @Option(
      names = {"-h", "--help"},
      usageHelp = true,
      description = "Show this help and exit.")
  @SuppressWarnings("UnusedVariable") // picocli reads it
  private boolean help;

  @Spec private @Nullable CommandSpec spec;

  @Override
  public Integer call() {
    try {
      HtmlReport.write(runs, out);
    } catch (IOException e) {
      throw new UserError(
          "--out %s cannot be written (%s); give a file in a folder that can be written."
              .formatted(out, e.getMessage()),
          e);
    }
    Objects.requireNonNull(spec).commandLine().getOut().println("Wrote " + out);
    return 0;
  }
}
