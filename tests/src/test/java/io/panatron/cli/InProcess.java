package io.panatron.cli;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.List;

/** Runs a command line as {@code Main} does, but in this process and with its output kept. */
public final class InProcess {
  private InProcess() {}

  /** What a command left on its streams, and its exit status. */
  public record Result(int status, String out, String err) {}

  public static Result run(List<String> arguments) {
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    int status =
        Main.run(
            arguments.toArray(String[]::new),
            new PrintWriter(out, true),
            new PrintWriter(err, true));
    return new Result(status, out.toString(), err.toString());
  }
}
