package io.panatron.cli;

import io.panatron.runtime.config.GivenValue;
import io.panatron.runtime.config.Parameter;
import io.panatron.runtime.config.ParameterSet;
import io.panatron.runtime.config.ParameterType;
import io.panatron.runtime.config.Provenance;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Stack;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.IParameterConsumer;
import picocli.CommandLine.Model.ArgSpec;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParameterException;

/**
 * Makes one picocli option of each parameter and collects what the user writes for it, as text.
 *
 * <p>picocli's own value parsing is left out because the parameters follow other rules: a value may
 * start with a minus sign if a digit follows, a list ends at the next name, a bare boolean means
 * true, and a parameter has one value whichever of its names is used.
 */
final class GivenOptions implements IParameterConsumer {
  /**
   * Stands before a value that was attached to its name ({@code --system=--x}) and looks like a
   * name itself; no argument of a process can contain it.
   */
  static final String ATTACHED = "\0";

  private static final Pattern NAME = Pattern.compile("--?[A-Za-z].*|--", Pattern.DOTALL);

  private final ParameterSet parameters;
  private final Map<String, GivenValue> given = new LinkedHashMap<>();

  GivenOptions(ParameterSet parameters) {
    this.parameters = parameters;
  }

  /** Whether an argument is a parameter's name rather than a value, known or not. */
  static boolean looksLikeName(String argument) {
    return NAME.matcher(argument).matches();
  }

  /** Adds the options to a command. */
  void addTo(CommandSpec command) {
    for (Parameter parameter : parameters.parameters()) {
      addOption(command, parameter.name());
      parameter.aliases().forEach(alias -> addOption(command, alias));
    }
  }

  /** What was written, in that order. */
  Collection<GivenValue> values() {
    return given.values();
  }

  /** The text of a parameter that takes one value, or null if it was not written. */
  @Nullable String text(String name) {
    GivenValue value = given.get(name);
    return value == null ? null : value.texts().getFirst();
  }

  private void addOption(CommandSpec command, String name) {
    command.addOption(
        OptionSpec.builder("--" + name)
            .type(String.class)
            .arity("0..1")
            .parameterConsumer(this)
            .build());
  }

  @Override
  @SuppressWarnings("JdkObsolete") // picocli hands the arguments over in a Stack
  public void consumeParameters(Stack<String> args, ArgSpec option, CommandSpec command) {
    String written = ((OptionSpec) option).longestName().substring("--".length());
    Parameter parameter = parameters.find(written);
    if (parameter == null) {
      throw new IllegalStateException("option --" + written + " has no parameter");
    }
    List<String> texts = new ArrayList<>();
    boolean list = parameter.type() == ParameterType.LIST;
    while (!args.isEmpty() && (list || texts.isEmpty()) && !looksLikeName(args.peek())) {
      texts.add(args.pop().replace(ATTACHED, ""));
    }
    if (texts.isEmpty() && parameter.type() == ParameterType.BOOL) {
      texts.add("true");
    }
    if (texts.isEmpty()) {
      throw new ParameterException(
          command.commandLine(),
          "--%s needs a value (%s); write --%s VALUE."
              .formatted(written, ParameterHelp.kind(parameter), written));
    }
    GivenValue earlier = given.get(parameter.name());
    if (earlier != null) {
      throw new ParameterException(
          command.commandLine(),
          earlier.writtenAs().equals(written)
              ? "--" + written + " is given twice; keep one of them."
              : "--%s and --%s are the same parameter and both are given; keep one of them."
                  .formatted(earlier.writtenAs(), written));
    }
    given.put(parameter.name(), new GivenValue(written, texts, Provenance.COMMAND_LINE));
  }
}
