package io.panatron.runtime.config;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * Every parameter that this trainer knows, as the resource {@code parameters.tsv} declares them.
 *
 * <p>A name may stand in several scopes with different defaults (beta of dpo and of gkd). A command
 * looks through its scopes in order, and the first row with a name is the one it has.
 */
public final class ParameterTable {
  private static final String RESOURCE = "parameters.tsv";
  private static final String HEADER =
      "name\tscope\tsection\ttype\tdefault\tchoices\taliases\trange\tstate\tallowed\treason\tmeaning";
  private static final List<String> TRAINING = List.of("training", "megatron", "lora", "base");
  private static final Map<String, List<String>> SCOPES_BY_COMMAND = scopesByCommand();

  private final List<Parameter> parameters;

  private ParameterTable(List<Parameter> parameters) {
    this.parameters = List.copyOf(parameters);
  }

  /** Reads the table that is part of the program. */
  public static ParameterTable load() {
    try (InputStream resource = ParameterTable.class.getResourceAsStream(RESOURCE)) {
      if (resource == null) {
        throw new IllegalStateException("resource " + RESOURCE + " is missing from the program");
      }
      BufferedReader reader =
          new BufferedReader(new InputStreamReader(resource, StandardCharsets.UTF_8));
      List<String> lines = reader.lines().toList();
      if (!lines.getFirst().equals(HEADER)) {
        throw new IllegalStateException(
            "resource " + RESOURCE + " has other columns than expected");
      }
      List<Parameter> rows = new ArrayList<>();
      for (String line : lines.subList(1, lines.size())) {
        rows.add(row(line.split("\t", -1), rows.size()));
      }
      return new ParameterTable(rows);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** All rows, in the table's order. */
  public List<Parameter> all() {
    return parameters;
  }

  /**
   * The commands that have parameters: pt, sft, export, and rlhf with each of its methods as {@code
   * rlhf:dpo}.
   */
  public static List<String> commands() {
    return List.copyOf(SCOPES_BY_COMMAND.keySet());
  }

  /**
   * The parameters of one command, one row per name.
   *
   * @throws IllegalArgumentException if it is none of {@link #commands()}
   */
  public ParameterSet forCommand(String command) {
    List<String> scopes = SCOPES_BY_COMMAND.get(command);
    if (scopes == null) {
      throw new IllegalArgumentException("command " + command + " has no parameters");
    }
    Map<String, Parameter> chosen = new LinkedHashMap<>();
    for (String scope : scopes) {
      for (Parameter parameter : parameters) {
        if (parameter.scope().equals(scope)) {
          chosen.putIfAbsent(parameter.name(), parameter);
        }
      }
    }
    return new ParameterSet(command, chosen.values());
  }

  /** The scopes in which a name or an alias is declared; empty for an unknown one. */
  public List<String> scopesOf(String name) {
    return parameters.stream()
        .filter(p -> p.name().equals(name) || p.aliases().contains(name))
        .map(Parameter::scope)
        .toList();
  }

  private static Map<String, List<String>> scopesByCommand() {
    Map<String, List<String>> scopes = new LinkedHashMap<>();
    scopes.put("sft", join(List.of("panatron", "sft"), TRAINING));
    scopes.put("pt", join(List.of("panatron", "pt"), TRAINING));
    for (String method : List.of("dpo", "grpo", "kto", "rm", "gkd")) {
      scopes.put("rlhf:" + method, join(List.of("panatron", method, "rlhf"), TRAINING));
    }
    scopes.put("export", join(List.of("panatron", "export"), TRAINING));
    return scopes;
  }

  private static List<String> join(List<String> first, List<String> second) {
    List<String> all = new ArrayList<>(first);
    all.addAll(second);
    return List.copyOf(all);
  }

  private static Parameter row(String[] cells, int order) {
    if (cells.length != HEADER.split("\t").length) {
      throw new IllegalStateException(
          "row " + cells[0] + " of " + RESOURCE + " has " + cells.length + " columns");
    }
    return new Parameter(
        cells[0],
        cells[1],
        cells[2],
        ParameterType.valueOf(cells[3].toUpperCase(Locale.ROOT)),
        cells[4],
        words(cells[5]),
        words(cells[6]),
        cells[7].isEmpty() ? null : ValueRange.parse(cells[7]),
        ParameterState.valueOf(cells[8].toUpperCase(Locale.ROOT).replace('-', '_')),
        words(cells[9]),
        cells[10],
        cells[11],
        order);
  }

  private static List<String> words(String cell) {
    return cell.isEmpty() ? List.of() : List.of(cell.split(","));
  }
}
