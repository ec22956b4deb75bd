package io.panatron.runtime.config;

import io.panatron.runtime.UserError;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** The parameters of one command, and how what the user gave becomes a {@link ParsedArguments}. */
public final class ParameterSet {
  private final String command;
  private final Map<String, Parameter> byName = new LinkedHashMap<>();
  private final Map<String, Parameter> byAnyName = new LinkedHashMap<>();

  ParameterSet(String command, Collection<Parameter> parameters) {
    this.command = command;
    parameters.stream()
        .sorted(Comparator.comparingInt(Parameter::order))
        .forEach(parameter -> byName.put(parameter.name(), parameter));
    byAnyName.putAll(byName);
    for (Parameter parameter : byName.values()) {
      for (String alias : parameter.aliases()) {
        Parameter other = byAnyName.put(alias, parameter);
        if (other != null) {
          throw new IllegalStateException(
              alias + " names both " + other.name() + " and " + parameter.name());
        }
      }
    }
  }

  /** The command, such as {@code sft}. */
  public String command() {
    return command;
  }

  /** Every parameter of the command, in the table's order. */
  public Collection<Parameter> parameters() {
    return List.copyOf(byName.values());
  }

  /** The parameter with this name or alias, or null. */
  public @Nullable Parameter find(String nameOrAlias) {
    return byAnyName.get(nameOrAlias);
  }

  /** The names and aliases nearest to a mistyped one, at most three. */
  public List<String> nearest(String typed) {
    return NearestNames.of(typed, byAnyName.keySet());
  }

  /**
   * The sentence that answers names the command does not have, such as mistyped ones.
   *
   * @param names with or without the two dashes, as they shall be shown
   * @param where words that follow the names, such as the file they stand in, or empty
   */
  public UserError unknown(List<String> names, String where) {
    List<String> parts = new ArrayList<>();
    for (String name : names) {
      String prefix = name.startsWith("--") ? "--" : "";
      List<String> near =
          nearest(name.substring(prefix.length())).stream().map(n -> prefix + n).toList();
      parts.add(
          name + (near.isEmpty() ? "" : " (did you mean " + String.join(" or ", near) + "?)"));
    }
    return new UserError(
        "%s has no parameter %s%s; 'trainer parameters --command %s' lists them all."
            .formatted(command, String.join(", ", parts), where, command));
  }

  /**
   * Parses and checks all values; a value on the command line wins over the same parameter in the
   * file, and both over the environment.
   *
   * @param given values of the command line, the file and the environment, in any order
   * @throws UserError for an unknown name, a name given twice at one place, a malformed value, an
   *     unsupported value, or values that contradict each other
   */
  public ParsedArguments parse(List<GivenValue> given) {
    Map<String, GivenValue> chosen = new LinkedHashMap<>();
    Map<String, GivenValue> fromFile = new LinkedHashMap<>();
    Map<String, GivenValue> fromEnvironment = new LinkedHashMap<>();
    for (GivenValue value : given) {
      Parameter parameter = byAnyName.get(value.writtenAs());
      if (parameter == null) {
        throw unknown(List.of(value.writtenAs()), "");
      }
      Map<String, GivenValue> place =
          switch (value.provenance()) {
            case CONFIG_FILE -> fromFile;
            case ENVIRONMENT -> fromEnvironment;
            default -> chosen;
          };
      GivenValue earlier = place.put(parameter.name(), value);
      if (earlier != null) {
        throw twice(earlier, value);
      }
    }
    fromFile.forEach(chosen::putIfAbsent);
    fromEnvironment.forEach(chosen::putIfAbsent);

    Map<String, ParsedArguments.Entry> entries = new LinkedHashMap<>();
    for (Parameter parameter : byName.values()) {
      GivenValue value = chosen.get(parameter.name());
      entries.put(
          parameter.name(),
          value == null
              ? new ParsedArguments.Entry(parameter, parameter.defaultValue(), Provenance.DEFAULT)
              : new ParsedArguments.Entry(
                  parameter, supported(parameter, value), value.provenance()));
    }
    ParsedArguments arguments = new ParsedArguments(command, entries);
    ArgumentChecks.check(arguments);
    return arguments;
  }

  private static UserError twice(GivenValue earlier, GivenValue later) {
    String names =
        earlier.writtenAs().equals(later.writtenAs())
            ? later.label() + " is given twice"
            : earlier.label()
                + " and "
                + later.label()
                + " are the same parameter and both are given";
    return new UserError(names + "; keep one of them.");
  }

  private static @Nullable Object supported(Parameter parameter, GivenValue given) {
    Object value = ParameterValues.parse(parameter, given);
    boolean anyValue =
        switch (parameter.state()) {
          case SUPPORTED -> parameter.allowed().isEmpty();
          case ACCEPTED -> true;
          case DEFAULT_ONLY, UNHONOURED_DEFAULT -> false;
        };
    if (anyValue
        || Objects.equals(value, parameter.defaultValue())
        || ParameterValues.isAllowed(parameter, value)) {
      return value;
    }
    String allowed =
        parameter.allowed().isEmpty()
            ? "only its default " + parameter.shownDefault() + " works"
            : "what works is " + String.join(", ", parameter.allowed());
    throw new UserError(
        "%s %s is not supported yet: %s, and %s; leave it out or change it."
            .formatted(
                given.label(),
                parameter.secret() ? "" : String.join(" ", given.texts()),
                parameter.reason().isEmpty() ? "it has other values" : parameter.reason(),
                allowed));
  }
}
