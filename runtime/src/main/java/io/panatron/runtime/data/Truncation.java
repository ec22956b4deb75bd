package io.panatron.runtime.data;

import io.panatron.runtime.UserError;

/** What happens to samples longer than {@code max_length}: {@code --truncation_strategy}. */
public enum Truncation {
  /** The sample is left out. */
  DELETE,
  /** The last {@code max_length} tokens stay. */
  LEFT,
  /** The first {@code max_length} tokens stay. */
  RIGHT,
  /** The sample becomes several, each of at most {@code max_length} tokens; pre-training only. */
  SPLIT;

  /** Reads the parameter. */
  public static Truncation parse(String name) {
    return switch (name) {
      case "delete" -> DELETE;
      case "left" -> LEFT;
      case "right" -> RIGHT;
      case "split" -> SPLIT;
      default ->
          throw new UserError(
              "--truncation_strategy " + name + " is not known; use delete, left, right or split");
    };
  }

  /**
   * What is left of a sample.
   *
   * @param part which stretch of {@code limit} tokens, for {@link #SPLIT}
   */
  EncodedSample part(EncodedSample whole, int limit, int part) {
    int n = whole.length();
    if (n <= limit) {
      return whole;
    }
    return switch (this) {
      case LEFT -> whole.range(n - limit, n);
      case RIGHT -> whole.range(0, limit);
      case SPLIT -> whole.range(part * limit, Math.min(n, (part + 1) * limit));
      case DELETE -> throw new IllegalArgumentException("a sample of " + n + " tokens is deleted");
    };
  }

  /** How many samples a row of that many tokens makes. */
  int parts(int length, int limit) {
    return switch (this) {
      case LEFT, RIGHT -> 1;
      case SPLIT -> Math.ceilDiv(length, limit);
      case DELETE -> length > limit ? 0 : 1;
    };
  }
}
