package io.panatron.cli;

import io.panatron.runtime.config.ParsedArguments;
import java.io.PrintWriter;

/** What {@code sft} and {@code pt} start once their arguments are parsed and checked. */
@FunctionalInterface
public interface TrainingRun {
  /**
   * Trains to the end.
   *
   * @param arguments checked arguments; {@link ParsedArguments#command()} says which command was
   *     typed
   * @param out where the run tells the user what it does
   * @return exit status: 0 when the run ended as asked
   * @throws io.panatron.runtime.UserError for a mistake in what the user gave
   */
  int run(ParsedArguments arguments, PrintWriter out) throws Exception;
}
