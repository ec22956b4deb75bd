package io.panatron.runtime.data.jinja;

import io.panatron.runtime.data.jinja.Scope.Callable;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Jinja2's tests, {@code value is name}. */
final class Tests {
  static final Set<String> NAMES =
      Set.of(
          "defined",
          "undefined",
          "none",
          "boolean",
          "true",
          "false",
          "string",
          "number",
          "integer",
          "float",
          "mapping",
          "sequence",
          "iterable",
          "callable",
          "odd",
          "even",
          "divisibleby",
          "equalto",
          "eq",
          "ne",
          "lt",
          "le",
          "gt",
          "ge",
          "in",
          "upper",
          "lower",
          "sameas");

  private Tests() {}

  static boolean holds(String name, @Nullable Object v, List<@Nullable Object> arguments) {
    return switch (name) {
      case "defined" -> !(v instanceof Undefined);
      case "undefined" -> v instanceof Undefined;
      case "none" -> v == null;
      case "boolean" -> v instanceof Boolean;
      case "true" -> Boolean.TRUE.equals(v);
      case "false" -> Boolean.FALSE.equals(v);
      case "string" -> v instanceof String;
      case "number" -> Python.isNumber(v);
      case "integer" -> v instanceof Long;
      case "float" -> v instanceof Double;
      case "mapping" -> v instanceof Map;
      case "sequence", "iterable" ->
          v instanceof String || v instanceof List || v instanceof Map || v instanceof Undefined;
      case "callable" -> v instanceof Callable;
      case "odd" -> Math.floorMod(Python.toLong(v), 2) == 1;
      case "even" -> Math.floorMod(Python.toLong(v), 2) == 0;
      case "divisibleby" -> Python.equal(Operators.apply("%", v, argument(arguments)), 0L);
      case "equalto", "eq" -> Python.equal(v, argument(arguments));
      case "ne" -> !Python.equal(v, argument(arguments));
      case "lt" -> Python.compare(v, argument(arguments)) < 0;
      case "le" -> Python.compare(v, argument(arguments)) <= 0;
      case "gt" -> Python.compare(v, argument(arguments)) > 0;
      case "ge" -> Python.compare(v, argument(arguments)) >= 0;
      case "in" -> Python.contains(argument(arguments), v);
      case "upper" -> Python.str(v).equals(Python.str(v).toUpperCase(Locale.ROOT));
      case "lower" -> Python.str(v).equals(Python.str(v).toLowerCase(Locale.ROOT));
      case "sameas" -> v == argument(arguments) || Python.equal(v, argument(arguments));
      default -> throw new IllegalArgumentException(name);
    };
  }

  private static @Nullable Object argument(List<@Nullable Object> arguments) {
    return Members.argument("is", arguments, 0);
  }
}
