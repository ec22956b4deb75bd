package io.panatron.runtime.config;

import java.util.Locale;

/**
 * How far a parameter is honoured; {@link Parameter#allowed} may narrow or widen it to certain
 * values.
 */
public enum ParameterState {
  /**
   * It has its documented effect. Where {@code allowed} is given, only those values and the default
   * do.
   */
  SUPPORTED,
  /** Every value is taken and none changes anything, for the reason that the table gives. */
  ACCEPTED,
  /** Only the default (or a value in {@code allowed}) is taken; any other is refused by name. */
  DEFAULT_ONLY,
  /**
   * The default has no effect yet, which each run says at its start. A value in {@code allowed} is
   * honoured, any other is refused by name.
   */
  UNHONOURED_DEFAULT;

  /** The name used in the table and in what the user reads, such as {@code default-only}. */
  public String label() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }
}
