package io.panatron.cli;

import io.panatron.runtime.UserError;
import io.panatron.runtime.config.NearestNames;
import io.panatron.runtime.config.Parameter;
import io.panatron.runtime.config.ParameterTable;
import java.io.PrintWriter;
import java.util.Collection;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code trainer parameters}: prints the table of all parameters, or of one command's. */
@Command(
    name = "parameters",
    description = "Print every parameter with its scope, type, default, choices and state.")
final class ParametersCommand implements Callable<Integer> {
  private final ParameterTable table;

  @Option(
      names = "--format",
      paramLabel = "FORMAT",
      defaultValue = "tsv",
      description = "tsv or markdown; default: tsv.")
  private String format = "tsv";

  @Option(
      names = "--command",
      paramLabel = "COMMAND",
      description =
          "Only the parameters of sft, pt, rlhf:dpo, rlhf:grpo, rlhf:kto, rlhf:rm, "
              + "rlhf:gkd or export.")
  private @Nullable String command;

  @Option(
      names = {"-h", "--help"},
      usageHelp = true,
      description = "Show this help and exit.")
  @SuppressWarnings("UnusedVariable") // picocli reads it
  private boolean help;

  @Spec private @Nullable CommandSpec spec;

  ParametersCommand(ParameterTable table) {
    this.table = table;
  }

  @Override
  public Integer call() {
    Collection<Parameter> rows = command == null ? table.all() : rowsOf(command);
    String text =
        switch (format) {
          case "tsv" -> tsv(rows);
          case "markdown" -> ParameterDocument.markdown(rows);
          default ->
              throw new UserError(
                  "--format cannot be '%s': choose tsv or markdown.".formatted(format));
        };
    PrintWriter out = Objects.requireNonNull(spec).commandLine().getOut();
    out.print(text);
    out.flush();
    return 0;
  }

  private Collection<Parameter> rowsOf(String name) {
    if (!ParameterTable.commands().contains(name)) {
      List<String> near = NearestNames.of(name, ParameterTable.commands());
      throw new UserError(
          "--command cannot be '%s': choose one of %s%s."
              .formatted(
                  name,
                  String.join(", ", ParameterTable.commands()),
                  near.isEmpty() ? "" : " (did you mean " + near.getFirst() + "?)"));
    }
    return table.forCommand(name).parameters();
  }

  private static String tsv(Collection<Parameter> rows) {
    StringBuilder text = new StringBuilder("name\tscope\ttype\tdefault\tchoices\tstate\n");
    for (Parameter p : rows) {
      text.append(
          String.join(
              "\t",
              p.name(),
              p.scope(),
              p.type().label(),
              p.defaultText(),
              String.join(",", p.choices()),
              p.state().label()));
      text.append('\n');
    }
    return text.toString();
  }
}
