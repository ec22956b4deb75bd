package io.panatron.cli;

import io.panatron.runtime.config.EffectiveDefaults;
import io.panatron.runtime.config.GivenValue;
import io.panatron.runtime.config.Parameter;
import io.panatron.runtime.config.ParameterSet;
import io.panatron.runtime.config.ParsedArguments;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.UsageMessageSpec;

/**
 * {@code trainer sft}, {@code trainer pt} and {@code trainer export}: reads the command line and
 * the --config file, then trains or converts.
 */
final class TrainingCommand implements Callable<Integer> {
  private final ParameterSet parameters;
  private final TrainingRun training;
  private final GivenOptions options;
  private final CommandSpec spec;

  TrainingCommand(ParameterSet parameters, TrainingRun training, String summary) {
    this.parameters = parameters;
    this.training = training;
    this.options = new GivenOptions(parameters);
    this.spec = CommandSpec.wrapWithoutInspection(this).name(parameters.command());
    spec.addOption(OptionSpec.builder("-h", "--help").usageHelp(true).build());
    spec.usageMessage()
        .description(summary)
        .customSynopsis(
            (converts()
                    ? "trainer %s (--to_mcore true --model FOLDER | --to_hf true --load FOLDER)"
                        + " [--NAME VALUE]..."
                    : "trainer %s --model FOLDER --dataset FILE... [--NAME VALUE]...")
                .formatted(parameters.command()))
        .sectionMap()
        .put(
            UsageMessageSpec.SECTION_KEY_OPTION_LIST,
            help -> ParameterHelp.options(parameters.parameters()));
  }

  /** The command as picocli knows it. */
  CommandSpec spec() {
    return spec;
  }

  /**
   * Adds the parameters. Only the command that is run takes them: there are hundreds, and a tenth
   * of a second is much of a start.
   */
  void acceptParameters() {
    options.addTo(spec);
  }

  @Override
  public Integer call() throws Exception {
    List<GivenValue> given = new ArrayList<>(options.values());
    String file = options.text("config");
    if (file != null) {
      given.addAll(ConfigFile.read(file, parameters));
    }
    if (!converts()) {
      given.addAll(TaskVariables.read(System.getenv(), parameters));
    }
    ParsedArguments arguments = parameters.parse(given);
    PrintWriter out = spec.commandLine().getOut();
    if (!converts()) {
      arguments = EffectiveDefaults.derive(arguments);
      note(out, "Defaults without effect yet", arguments.unhonouredDefaults());
    }
    note(out, "Given, but without effect here", arguments.givenWithoutEffect());
    out.flush();
    return training.run(arguments, out);
  }

  private boolean converts() {
    return parameters.command().equals("export");
  }

  /** Whether the user asked on the command line to see technical causes. */
  boolean debugging() {
    return "debug".equals(options.text("logging_level"));
  }

  private static void note(PrintWriter out, String title, List<Parameter> parameters) {
    Map<String, List<String>> namesByReason = new LinkedHashMap<>();
    for (Parameter parameter : parameters) {
      namesByReason
          .computeIfAbsent(parameter.reason(), r -> new ArrayList<>())
          .add(parameter.name());
    }
    if (!namesByReason.isEmpty()) {
      out.println(title + ":");
      namesByReason.forEach(
          (reason, names) -> out.println("  " + String.join(", ", names) + ": " + reason));
    }
  }
}
