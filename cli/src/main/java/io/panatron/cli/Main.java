package io.panatron.cli;

import io.panatron.runtime.UserError;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.function.Supplier;

/**
 * Where the program starts: runs the command that the user typed and exits with its status, which
 * is 0 when all went well, 2 for a mistake in what the user gave, 141 where the reader of the
 * output went away, and 1 for a fault of the program.
 */
public final class Main {
  private Main() {}

  public static void main(String[] args) {
    // Plots are drawn into memory; a display that cannot be reached must not matter.
    System.setProperty("java.awt.headless", "true");
    PrintWriter out = new PrintWriter(System.out, true, charset(System.out));
    PrintWriter err = new PrintWriter(System.err, true, charset(System.err));
    System.exit(run(args, out, err));
  }

  /**
   * Containers often name no locale, which means ASCII: a model's answers would be question marks.
   */
  private static Charset charset(PrintStream stream) {
    Charset named = stream.charset();
    return named.equals(StandardCharsets.US_ASCII) ? StandardCharsets.UTF_8 : named;
  }

  static int run(String[] args, PrintWriter out, PrintWriter err) {
    try {
      SelfLaunch.ensureVectorApi();
      TrainingRun training = new LocalTraining();
      Supplier<Terminal> terminal = () -> Terminal.ofProcess(System.getenv());
      List<?> further =
          List.of(
              new QuickstartCommand(training),
              new GenerateCommand(System.in),
              new ReportCommand(),
              new BenchCommand(),
              new ScheduleCommand(terminal),
              new TopologyCommand(terminal));
      return new TrainerCommandLine(training, further, out, err).execute(args);
    } catch (UserError mistake) {
      err.println(mistake.getMessage());
      return ErrorReport.USER_ERROR;
    } catch (Throwable failure) { // picocli hands on what is no Exception, such as OutOfMemoryError
      return ErrorReport.internal(failure, err);
    } finally {
      // A reader that went away (trainer parameters | head) sets the writer's error flag and
      // nothing else.
      out.flush();
      err.flush();
    }
  }
}
