package io.panatron.cli;

import io.panatron.runtime.config.ParameterTable;
import java.io.PrintWriter;
import java.util.Arrays;
import java.util.List;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;

/** The tree of commands: what {@code trainer} understands, and who answers. */
final class TrainerCommandLine {
  private final CommandLine root;

  /**
   * Builds the commands.
   *
   * @param training what sft and pt start
   * @param further commands besides, as picocli {@code @Command} objects
   */
  TrainerCommandLine(TrainingRun training, List<?> further, PrintWriter out, PrintWriter err) {
    ParameterTable table = ParameterTable.load();
    CommandSpec spec = CommandSpec.create().name("trainer").mixinStandardHelpOptions(true);
    spec.usageMessage()
        .description("Trains large language models.")
        .customSynopsis("trainer COMMAND [--NAME VALUE]...")
        .footer("", "'trainer COMMAND --help' explains the parameters of a command.");
    spec.versionProvider(() -> new String[] {"trainer " + version()});
    root = new CommandLine(spec);
    add(
        new TrainingCommand(
                table.forCommand("sft"), training, "Fine-tune a model on conversations.")
            .spec());
    add(
        new TrainingCommand(
                table.forCommand("pt"),
                training,
                "Pre-train a model, or continue to, on plain text.")
            .spec());
    add(UnsupportedCommand.spec("rlhf", "Preference and reinforcement learning."));
    add(
        new TrainingCommand(
                table.forCommand("export"),
                new LocalExport(),
                "Convert between Hugging Face models and checkpoints.")
            .spec());
    root.addSubcommand(new ParametersCommand(table));
    further.forEach(root::addSubcommand);
    ErrorReport errors = new ErrorReport(table);
    root.setExpandAtFiles(false)
        .setOut(out)
        .setErr(err)
        .setParameterExceptionHandler(errors::parsing)
        .setExecutionExceptionHandler(errors::running);
  }

  /** Runs the command that the arguments name and returns the exit status. */
  int execute(String... args) {
    if (args.length == 0) {
      root.usage(root.getErr());
      return ErrorReport.USER_ERROR;
    }
    CommandLine command = root.getSubcommands().get(args[0]);
    if (command == null || !(command.getCommand() instanceof TrainingCommand training)) {
      return root.execute(args);
    }
    training.acceptParameters();
    return root.execute(
        Arrays.stream(args).map(TrainerCommandLine::normalized).toArray(String[]::new));
  }

  private void add(CommandSpec command) {
    root.addSubcommand(command.name(), new CommandLine(command));
  }

  /**
   * Takes {@code --micro-batch-size=4} as {@code --micro_batch_size=4}, and marks attached values.
   */
  private static String normalized(String argument) {
    int end = argument.indexOf('=') < 0 ? argument.length() : argument.indexOf('=');
    if (!argument.startsWith("--")
        || argument.length() < 3
        || argument.substring(0, end).contains(" ")) {
      return argument;
    }
    String value = argument.substring(Math.min(end + 1, argument.length()));
    String name = "--" + argument.substring(2, end).replace('-', '_');
    String mark = GivenOptions.looksLikeName(value) ? GivenOptions.ATTACHED : "";
    return end == argument.length() ? name : name + "=" + mark + value;
  }

  private static String version() {
    String version = TrainerCommandLine.class.getPackage().getImplementationVersion();
    return version == null ? "(built from source)" : version;
  }
}
