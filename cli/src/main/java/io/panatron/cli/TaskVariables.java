package io.panatron.cli;

import io.panatron.runtime.config.GivenValue;
import io.panatron.runtime.config.Parameter;
import io.panatron.runtime.config.ParameterSet;
import io.panatron.runtime.config.Provenance;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * The environment variables by which Megatron-SWIFT sets losses of sequences: parameters whose name
 * in upper case they have.
 */
final class TaskVariables {
  private static final List<String> STARTS =
      List.of(
          "infonce_",
          "listwise_reranker_",
          "generative_reranker_",
          "max_positive_samples",
          "max_negative_samples");

  private TaskVariables() {}

  /** What of the environment sets parameters of a command. */
  static List<GivenValue> read(Map<String, String> environment, ParameterSet parameters) {
    List<GivenValue> given = new ArrayList<>();
    for (Parameter parameter : parameters.parameters()) {
      String value = environment.get(parameter.name().toUpperCase(Locale.ROOT));
      if (value != null && STARTS.stream().anyMatch(parameter.name()::startsWith)) {
        given.add(new GivenValue(parameter.name(), List.of(value), Provenance.ENVIRONMENT));
      }
    }
    return given;
  }
}
