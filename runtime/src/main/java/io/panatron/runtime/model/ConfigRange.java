package io.panatron.runtime.model;

/** Range checks whose message names the key of {@code config.json}. */
final class ConfigRange {
  private ConfigRange() {}

  static void check(String key, long value, long least, long most) {
    if (value < least || value > most) {
      throw new IllegalArgumentException(
          "%s is %d, but must be from %d to %d".formatted(key, value, least, most));
    }
  }

  /** Not-a-number fails as well. */
  static void check(String key, double value, double least, double most) {
    if (!(value >= least && value <= most)) {
      throw new IllegalArgumentException(
          "%s is %s, but must be from %s to %s".formatted(key, value, least, most));
    }
  }
}
