package io.panatron.cli;

import io.panatron.runtime.UserError;
import io.panatron.runtime.config.NearestNames;
import io.panatron.runtime.config.ParameterSet;
import io.panatron.runtime.config.ParameterTable;
import java.io.PrintWriter;
import java.util.List;
import picocli.CommandLine;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.UnmatchedArgumentException;

/** Tells the user what went wrong, and turns it into an exit status. */
final class ErrorReport {
  /** Exit status for a mistake in what the user gave. */
  static final int USER_ERROR = 2;

  /** Exit status where the reader of the output went away: that of a program ended by SIGPIPE. */
  static final int OUTPUT_CLOSED = 128 + 13;

  /** Exit status for a fault of the program. */
  static final int INTERNAL_FAILURE = 1;

  private final ParameterTable table;

  ErrorReport(ParameterTable table) {
    this.table = table;
  }

  /** Answers a command line that cannot be parsed. */
  int parsing(ParameterException failure, String[] args) {
    CommandLine command = failure.getCommandLine();
    String message =
        failure instanceof UnmatchedArgumentException unmatched
                && !unmatched.getUnmatched().isEmpty()
            ? unmatched(command, unmatched.getUnmatched(), List.of(args))
            : String.valueOf(failure.getMessage());
    print(command.getErr(), message);
    return USER_ERROR;
  }

  /** Answers a command that failed while it ran. */
  int running(Exception failure, CommandLine command, ParseResult parsed) {
    if (failure instanceof ClosedOutputException) {
      return OUTPUT_CLOSED;
    }
    if (failure instanceof UserError) {
      print(command.getErr(), String.valueOf(failure.getMessage()));
      boolean debugging =
          command.getCommand() instanceof TrainingCommand training && training.debugging();
      if (debugging && failure.getCause() != null) {
        failure.getCause().printStackTrace(command.getErr());
      }
      return USER_ERROR;
    }
    return internal(failure, command.getErr());
  }

  /** Reports a fault of the program with everything that helps to find it. */
  static int internal(Throwable failure, PrintWriter err) {
    failure.printStackTrace(err);
    print(
        err,
        "This is a fault of the trainer, not of your input; please report it with "
            + "the lines above.");
    return INTERNAL_FAILURE;
  }

  private static void print(PrintWriter err, String message) {
    err.println(message);
    err.flush();
  }

  private String unmatched(CommandLine command, List<String> unmatched, List<String> args) {
    List<String> names =
        unmatched.stream()
            .filter(argument -> GivenOptions.looksLikeName(argument) && !argument.equals("--"))
            .map(argument -> argument.replaceFirst("^--?", "").replaceFirst("(?s)=.*", ""))
            .distinct()
            .toList();
    if (command.getCommand() instanceof TrainingCommand) {
      return names.isEmpty()
          ? leftOver(unmatched.getFirst(), args)
          : unknownNames(command.getCommandName(), names);
    }
    String first = unmatched.getFirst();
    boolean option = !names.isEmpty() || command.getSubcommands().isEmpty();
    List<String> near =
        NearestNames.of(
            first,
            option
                ? command.getCommandSpec().optionsMap().keySet()
                : command.getSubcommands().keySet());
    String path = command.getCommandSpec().qualifiedName();
    return "%s has no %s '%s'%s; '%s --help' explains it."
        .formatted(
            path,
            option ? "option" : "command",
            first,
            near.isEmpty() ? "" : " (did you mean " + near.getFirst() + "?)",
            path);
  }

  private String unknownNames(String command, List<String> names) {
    ParameterSet parameters = table.forCommand(command);
    if (parameters.find(names.getFirst()) != null) {
      return "-%s needs two dashes; write --%s.".formatted(names.getFirst(), names.getFirst());
    }
    List<String> elsewhere = table.scopesOf(names.getFirst());
    if (!elsewhere.isEmpty()) {
      return "--%s belongs to %s and has no meaning for %s; leave it out."
          .formatted(names.getFirst(), String.join(", ", elsewhere), command);
    }
    return String.valueOf(
        parameters.unknown(names.stream().map(name -> "--" + name).toList(), "").getMessage());
  }

  private static String leftOver(String argument, List<String> args) {
    int position = args.indexOf(argument);
    String before = "the command";
    for (int i = 0; i < position; i++) {
      before = args.get(i).startsWith("--") ? args.get(i).replaceFirst("(?s)=.*", "") : before;
    }
    return "'%s' after %s belongs to no parameter; quote a value with blanks, or name it first."
        .formatted(argument, before);
  }
}
