package io.panatron.runtime.config;

import java.util.Locale;

/**
 * What kind of value a parameter takes; the Java type that {@link ParsedArguments} holds is in
 * parentheses.
 */
public enum ParameterType {
  /** A whole number ({@link Long}). */
  INT,
  /** A finite number ({@link Double}). */
  FLOAT,
  /** true or false ({@link Boolean}). */
  BOOL,
  /** One of the parameter's choices ({@link String}). */
  ENUM,
  /** Any text ({@link String}). */
  STRING,
  /** Blank-separated texts, or a JSON array (an immutable {@code List<String>}). */
  LIST,
  /** A JSON value (the text as given, in {@link String}, once it is known to be valid JSON). */
  JSON;

  /** The name used in the table and in what the user reads. */
  public String label() {
    return name().toLowerCase(Locale.ROOT);
  }
}
