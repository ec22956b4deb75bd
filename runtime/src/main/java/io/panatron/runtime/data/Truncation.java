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
}
