package io.panatron.runtime.config;

import java.util.List;

/**
 * What the user wrote for one parameter, before it has a type.
 *
 * @param writtenAs the name used: the parameter's own or an alias, without dashes
 * @param texts the value's words; one for everything but lists
 * @param provenance {@link Provenance#COMMAND_LINE} or {@link Provenance#CONFIG_FILE}
 */
public record GivenValue(String writtenAs, List<String> texts, Provenance provenance) {
  public GivenValue {
    texts = List.copyOf(texts);
  }

  /** How messages name it: {@code --lr}, or {@code lr (in the --config file)}. */
  String label() {
    return provenance == Provenance.CONFIG_FILE
        ? writtenAs + " (in the --config file)"
        : "--" + writtenAs;
  }
}
