package io.panatron.cli;

import io.panatron.runtime.UserError;
import java.util.concurrent.Callable;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;

/**
 * A command of the documented command line that does not work yet, and says so whatever follows it.
 */
final class UnsupportedCommand implements Callable<Integer> {
  private final String name;

  private UnsupportedCommand(String name) {
    this.name = name;
  }

  static CommandSpec spec(String name, String summary) {
    CommandSpec spec = CommandSpec.wrapWithoutInspection(new UnsupportedCommand(name)).name(name);
    spec.addOption(
        OptionSpec.builder("-h", "--help")
            .usageHelp(true)
            .description("Show this help and exit.")
            .build());
    spec.parser().unmatchedArgumentsAllowed(true);
    spec.usageMessage().description(summary + " Not supported yet.");
    return spec;
  }

  @Override
  public Integer call() {
    throw new UserError("trainer %s is not supported yet; sft, pt and export are.".formatted(name));
  }
}
