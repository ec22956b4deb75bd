package io.panatron.runtime.config;

import java.util.List;

/**
 * What the user wrote for one parameter, before it has a type.
 *
 * @param writtenAs the name used: the parameter's own or an alias, without dashes
 * @param texts the value's words; one for everything but lists
 * @param provenance {@link Provenance#COMMAND_LINE}, {@link Provenance#CONFIG_FILE} or {@link
 *     Provenance#ENVIRONMENT}
 */
public record GivenValue(String writtenAs, List<String> texts, Provenance provenance) {
  public GivenValue {
    texts = List.copyOf(texts);
  }

  /** How messages name it: {@code --lr}, {@code lr (in the --config file)}, or the variable. */
  String label() {
    return switch (provenance) {
      case CONFIG_FILE -> writtenAs + " (in the --config file)";
      case ENVIRONMENT ->
          "the environment variable " + writtenAs.toUpperCase(java.util.Locale.ROOT);
      default -> "--" + writtenAs;
    };
  }
}
