package io.panatron.runtime;

import com.fasterxml.jackson.core.JsonProcessingException;

/** Says for people what is wrong with a JSON or YAML text. */
public final class JsonProblem {
  private JsonProblem() {}

  /**
   * The parser's complaint as one clause, without the names of its classes and settings, and
   * without the place, which {@link JsonProcessingException#getLocation} gives.
   */
  public static String of(JsonProcessingException failure) {
    String message = String.valueOf(failure.getOriginalMessage());
    if (message.startsWith("Trailing token")) {
      return "something follows after its end";
    }
    // YAML's complaints come as a context and a problem, each followed by indented excerpts.
    String clause =
        message
            .lines()
            .filter(line -> !line.isBlank() && !Character.isWhitespace(line.charAt(0)))
            .limit(2)
            .reduce((context, problem) -> context + ", " + problem)
            .orElse("it is malformed");
    return clause
        .replaceAll(" \\(start marker at \\[.*", "")
        .replaceAll(", from `[^`]*`", "")
        .replaceAll("\\.$", "");
  }
}
