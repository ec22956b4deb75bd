package io.panatron.runtime.config;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.panatron.runtime.JsonProblem;
import io.panatron.runtime.UserError;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Turns what the user wrote for one parameter into its typed value, or says in one sentence why it
 * cannot.
 */
final class ParameterValues {
  private static final JsonMapper JSON =
      JsonMapper.builder()
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .build();

  private ParameterValues() {}

  /** The value written as one or several texts; null when "None" or "null" unsets the parameter. */
  static @Nullable Object parse(Parameter parameter, GivenValue given) {
    List<String> texts = given.texts();
    if (texts.size() == 1 && (texts.getFirst().equals("None") || texts.getFirst().equals("null"))) {
      return unset(parameter, given);
    }
    try {
      return check(
          parameter,
          parameter.type() == ParameterType.LIST ? items(parameter, texts) : one(parameter, texts));
    } catch (ValueProblem problem) {
      throw new UserError(
          given.label()
              + " cannot be "
              + shown(parameter, texts)
              + ": "
              + problem.getMessage()
              + ".");
    }
  }

  /** A default of the table, which must be well-formed. */
  static Object parseOne(Parameter parameter, String text) {
    try {
      return parameter.type() == ParameterType.LIST
          ? list(List.of(text))
          : one(parameter, List.of(text));
    } catch (ValueProblem problem) {
      throw new IllegalStateException(
          "default of " + parameter.name() + ": " + problem.getMessage(), problem);
    }
  }

  /** Whether a value is one of the texts in {@link Parameter#allowed}; of a list, every item. */
  static boolean isAllowed(Parameter parameter, @Nullable Object value) {
    if (value instanceof List<?> items) {
      return !parameter.allowed().isEmpty() && parameter.allowed().containsAll(items);
    }
    for (String text : parameter.allowed()) {
      if (Objects.equals(value, parseOne(parameter, text))) {
        return true;
      }
    }
    return false;
  }

  /** What the user wrote, in quotes, or a placeholder for a secret. */
  static String shown(Parameter parameter, List<String> texts) {
    return parameter.secret() ? "what was given" : "'" + String.join(" ", texts) + "'";
  }

  private static @Nullable Object unset(Parameter parameter, GivenValue given) {
    if (parameter.type() == ParameterType.LIST) {
      return parameter.defaultValue() == null ? null : List.of();
    }
    if (parameter.defaultValue() != null) {
      throw new UserError(
          "%s cannot be unset: it needs %s; leave it out for its default %s."
              .formatted(given.label(), expected(parameter), parameter.shownDefault()));
    }
    return null;
  }

  private static Object one(Parameter parameter, List<String> texts) throws ValueProblem {
    if (texts.size() != 1) {
      throw new ValueProblem("it takes one value, and " + texts.size() + " were given");
    }
    String text = texts.getFirst();
    return switch (parameter.type()) {
      case INT -> whole(text);
      case FLOAT -> number(text);
      case BOOL -> bool(text);
      case ENUM -> choice(parameter, text);
      case STRING -> text;
      case JSON -> json(text);
      case LIST -> throw new IllegalStateException("a list is not one value");
    };
  }

  private static Long whole(String text) throws ValueProblem {
    try {
      return Long.valueOf(text.strip());
    } catch (NumberFormatException e) {
      throw new ValueProblem("it needs a whole number", e);
    }
  }

  private static Double number(String text) throws ValueProblem {
    double value;
    try {
      value = Double.parseDouble(text.strip());
    } catch (NumberFormatException e) {
      throw new ValueProblem("it needs a number", e);
    }
    // Java reads "1d" and "0x1p3" as numbers too, which are typing mistakes here.
    if (!Double.isFinite(value) || !text.strip().matches("[-+0-9.eE]+")) {
      throw new ValueProblem("it needs a finite decimal number");
    }
    return value;
  }

  private static Boolean bool(String text) throws ValueProblem {
    return switch (text.strip().toLowerCase(Locale.ROOT)) {
      case "true", "yes", "y", "t", "1" -> true;
      case "false", "no", "n", "f", "0" -> false;
      default -> throw new ValueProblem("it needs true or false");
    };
  }

  private static String choice(Parameter parameter, String text) throws ValueProblem {
    if (parameter.choices().contains(text)) {
      return text;
    }
    List<String> near = NearestNames.of(text, parameter.choices());
    throw new ValueProblem(
        "its choices are "
            + String.join(", ", parameter.choices())
            + (near.isEmpty() ? "" : "; did you mean " + near.getFirst() + "?"));
  }

  /** A list whose items must be choices where only some of these are honoured yet. */
  private static List<String> items(Parameter parameter, List<String> texts) throws ValueProblem {
    List<String> items = list(texts);
    if (!parameter.allowed().isEmpty()) {
      for (String item : items) {
        choice(parameter, item);
      }
    }
    return items;
  }

  private static List<String> list(List<String> texts) throws ValueProblem {
    List<String> values = texts;
    if (texts.size() == 1 && texts.getFirst().startsWith("[")) {
      values = new ArrayList<>();
      JsonNode array = tree(texts.getFirst());
      for (JsonNode item : array) {
        values.add(item.isValueNode() ? item.asText() : item.toString());
      }
    }
    if (values.stream().anyMatch(String::isBlank)) {
      throw new ValueProblem("one of its items is empty");
    }
    return List.copyOf(values);
  }

  private static String json(String text) throws ValueProblem {
    return tree(text).toString();
  }

  private static JsonNode tree(String text) throws ValueProblem {
    try {
      JsonNode node = JSON.readTree(text);
      if (node.isMissingNode()) {
        throw new ValueProblem("it needs JSON, and nothing was given");
      }
      return node;
    } catch (JsonProcessingException e) {
      throw new ValueProblem("it needs JSON: " + JsonProblem.of(e), e);
    }
  }

  private static Object check(Parameter parameter, Object value) throws ValueProblem {
    ValueRange range = parameter.range();
    if (value instanceof Number number && range != null && !range.contains(number.doubleValue())) {
      throw new ValueProblem("it must be " + range.describe());
    }
    boolean fitsInt = value instanceof Long whole && whole == whole.intValue();
    if (value instanceof Long
        && !fitsInt
        && (range == null || range.high() == Double.POSITIVE_INFINITY)) {
      throw new ValueProblem("it must be at most " + Integer.MAX_VALUE + " in size");
    }
    return value;
  }

  private static String expected(Parameter parameter) {
    return switch (parameter.type()) {
      case INT -> "a whole number";
      case FLOAT -> "a number";
      case BOOL -> "true or false";
      case ENUM -> "one of " + String.join(", ", parameter.choices());
      case STRING -> "a text";
      case LIST -> "a list";
      case JSON -> "JSON";
    };
  }

  /** Why a text is no value, before the parameter's name and what to do are added. */
  private static final class ValueProblem extends Exception {
    private static final long serialVersionUID = 1L;

    ValueProblem(String message) {
      super(message);
    }

    ValueProblem(String message, Throwable cause) {
      super(message, cause);
    }
  }
}
