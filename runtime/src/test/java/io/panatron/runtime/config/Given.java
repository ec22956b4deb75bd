package io.panatron.runtime.config;

import java.util.ArrayList;
import java.util.List;

/** Shortens how tests write what a user gave. */
final class Given {
  static final ParameterTable TABLE = ParameterTable.load();
  private static final List<String> REQUIRED = List.of("model", "dataset", "train_iters");

  private Given() {}

  static GivenValue typed(String name, String... texts) {
    return new GivenValue(name, List.of(texts), Provenance.COMMAND_LINE);
  }

  static GivenValue inFile(String name, String... texts) {
    return new GivenValue(name, List.of(texts), Provenance.CONFIG_FILE);
  }

  /** Parses for sft, with values for what is required added where they are missing. */
  static ParsedArguments sft(GivenValue... values) {
    return parse("sft", values);
  }

  static ParsedArguments parse(String command, GivenValue... values) {
    List<GivenValue> all = new ArrayList<>(List.of(values));
    for (String name : REQUIRED) {
      if (all.stream().noneMatch(value -> value.writtenAs().equals(name))) {
        all.add(typed(name, name.equals("train_iters") ? "8" : name));
      }
    }
    return TABLE.forCommand(command).parse(all);
  }
}
