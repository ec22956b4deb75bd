package io.panatron.cli;

import io.panatron.runtime.config.Parameter;
import io.panatron.runtime.config.ParameterState;
import io.panatron.runtime.config.ParameterType;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Says in words what a parameter takes and how far it is honoured: for {@code --help} and the
 * documentation.
 */
final class ParameterHelp {
  private static final int WIDTH = 100;
  private static final String INDENT = "      ";

  private ParameterHelp() {}

  /** The parameters by section, sections in the order of their first parameter. */
  static Map<String, List<Parameter>> bySection(Collection<Parameter> parameters) {
    Map<String, List<Parameter>> sections = new LinkedHashMap<>();
    for (Parameter parameter : parameters) {
      sections.computeIfAbsent(parameter.section(), s -> new ArrayList<>()).add(parameter);
    }
    return sections;
  }

  /** The option list of a command's help. */
  static String options(Collection<Parameter> parameters) {
    StringBuilder text = new StringBuilder();
    bySection(parameters)
        .forEach((section, members) -> {
          text.append(System.lineSeparator()).append(section).append(System.lineSeparator());
          members.forEach(parameter -> describe(parameter, text));
        });
    return text.toString();
  }

  /** The kind of value in a few words, such as "int, at least 1" or "full|selective|none". */
  static String kind(Parameter parameter) {
    String kind =
        parameter.type() == ParameterType.ENUM
            ? String.join("|", parameter.choices())
            : parameter.type().label();
    return parameter.range() == null ? kind : kind + ", " + parameter.range().describe();
  }

  /** The state in words, empty for a parameter that is honoured in full. */
  static String state(Parameter parameter) {
    String works = String.join(", ", parameter.allowed());
    return switch (parameter.state()) {
      case SUPPORTED -> works.isEmpty() ? "" : "works: " + works + ", as " + parameter.reason();
      case ACCEPTED -> "no effect here, because " + parameter.reason();
      case DEFAULT_ONLY ->
          "not supported yet beyond "
              + parameter.shownDefault()
              + (works.isEmpty() ? "" : " and " + works)
              + ": "
              + parameter.reason();
      case UNHONOURED_DEFAULT ->
          "default has no effect yet: "
              + parameter.reason()
              + (works.isEmpty() ? "" : "; works: " + works);
    };
  }

  private static void describe(Parameter parameter, StringBuilder text) {
    text.append("  --").append(parameter.name());
    parameter.aliases().forEach(alias -> text.append(", --").append(alias));
    text.append(" <")
        .append(kind(parameter))
        .append("> [")
        .append(parameter.shownDefault())
        .append(']');
    if (parameter.type() != ParameterType.ENUM && !parameter.choices().isEmpty()) {
      text.append(" such as ").append(String.join(", ", parameter.choices()));
    }
    text.append(System.lineSeparator());
    String state = state(parameter);
    boolean plain = parameter.state() == ParameterState.SUPPORTED && state.isEmpty();
    wrap(plain ? parameter.meaning() : parameter.meaning() + " (" + state + ")", text);
  }

  private static void wrap(String sentence, StringBuilder text) {
    int column = 0;
    for (String word : sentence.split(" ", -1)) {
      if (column > 0 && column + 1 + word.length() > WIDTH) {
        text.append(System.lineSeparator());
        column = 0;
      }
      text.append(column == 0 ? INDENT : " ").append(word);
      column += (column == 0 ? INDENT.length() : 1) + word.length();
    }
    text.append(System.lineSeparator());
  }
}
