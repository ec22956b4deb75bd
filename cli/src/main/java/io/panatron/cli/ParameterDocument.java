package io.panatron.cli;

import io.panatron.runtime.config.Parameter;
import io.panatron.runtime.config.ParameterState;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Writes docs/parameters.md: every parameter by scope and section. */
final class ParameterDocument {
  private static final String INTRODUCTION =
      """
      # Parameters

      This page is made by `trainer parameters --format markdown`; edit `parameters.tsv` instead.

      Write `--name value` or `--name=value`; a bare `--name` sets a boolean to true; items of a list are separated by
      blanks; `None` unsets. `--config file.yaml` holds the same names, and the command line wins over it. Dashes in a
      name stand for underscores. Names after "also" mean the same parameter.

      | state | meaning |
      |---|---|
      | supported | works; where values are named, those do, and others are refused |
      | accepted | every value is taken and changes nothing, for the reason given |
      | default-only | only the default (and values named) is taken; others are refused by name |
      | unhonoured-default | the default has no effect yet, which each run says at its start; other values are refused unless named |

      A name may stand in several scopes. `sft` sees panatron, training, megatron, lora and base, in this order of
      precedence; `pt` looks into pt first; `rlhf` into the scope of its method and rlhf; `export` into export.
      """;

  private ParameterDocument() {}

  static String markdown(Collection<Parameter> parameters) {
    StringBuilder text = new StringBuilder(INTRODUCTION);
    counts(parameters, text);
    Map<String, List<Parameter>> scopes = new LinkedHashMap<>();
    parameters.forEach(p -> scopes.computeIfAbsent(p.scope(), s -> new ArrayList<>()).add(p));
    scopes.forEach((scope, members) -> {
      text.append("\n## Scope ").append(scope).append('\n');
      ParameterHelp.bySection(members).forEach((section, rows) -> section(section, rows, text));
    });
    return text.toString();
  }

  private static void counts(Collection<Parameter> parameters, StringBuilder text) {
    text.append("\n| state | parameters |\n|---|---|\n");
    for (ParameterState state : ParameterState.values()) {
      long count = parameters.stream().filter(p -> p.state() == state).count();
      text.append("| ").append(state.label()).append(" | ").append(count).append(" |\n");
    }
  }

  private static void section(String title, List<Parameter> rows, StringBuilder text) {
    text.append("\n### ").append(title).append("\n\n");
    text.append(
        "| name | type | default | choices | state | meaning |\n|---|---|---|---|---|---|\n");
    for (Parameter p : rows) {
      String also = p.aliases().isEmpty() ? "" : " (also " + String.join(", ", p.aliases()) + ")";
      String type =
          p.range() == null ? p.type().label() : p.type().label() + ", " + p.range().describe();
      String note = ParameterHelp.state(p);
      text.append(
          "| %s%s | %s | `%s` | %s | %s | %s%s |\n"
              .formatted(
                  p.name(),
                  also,
                  type,
                  p.shownDefault(),
                  cell(String.join(", ", p.choices())),
                  p.state().label(),
                  cell(p.meaning()),
                  note.isEmpty() ? "" : " *" + cell(sentence(note)) + "*"));
    }
  }

  private static String sentence(String words) {
    return Character.toUpperCase(words.charAt(0)) + words.substring(1) + ".";
  }

  private static String cell(String text) {
    return text.replace("|", "\\|").replace("*", "\\*").replace("<", "&lt;");
  }
}
