package io.panatron.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.panatron.runtime.UserError;
import io.panatron.runtime.config.EffectiveDefaults;
import io.panatron.runtime.config.GivenValue;
import io.panatron.runtime.config.ParameterSet;
import io.panatron.runtime.config.ParameterTable;
import io.panatron.runtime.config.ParsedArguments;
import io.panatron.runtime.config.Provenance;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class TaskVariablesTest {
  private static final Map<String, String> ENVIRONMENT =
      Map.of(
          "INFONCE_TEMPERATURE",
          "0.05",
          "INFONCE_USE_BATCH",
          "False",
          "MAX_NEGATIVE_SAMPLES",
          "3",
          "LR",
          "1");

  private static ParsedArguments parsed(
      String command, Map<String, String> environment, String... words) {
    ParameterSet parameters = ParameterTable.load().forCommand(command);
    List<GivenValue> given = new ArrayList<>();
    for (int i = 0; i < words.length; i += 2) {
      given.add(new GivenValue(words[i], List.of(words[i + 1]), Provenance.COMMAND_LINE));
    }
    given.addAll(TaskVariables.read(environment, parameters));
    return EffectiveDefaults.derive(parameters.parse(given));
  }

  private static final String[] EMBEDDING = {
    "model",
    "m",
    "dataset",
    "d",
    "train_iters",
    "1",
    "task_type",
    "embedding",
    "loss_type",
    "infonce"
  };

  @Test
  void aVariableCountsWhereTheCommandLineIsSilent() {
    ParsedArguments arguments = parsed("sft", ENVIRONMENT, EMBEDDING);
    assertThat(arguments.number("infonce_temperature")).isEqualTo(0.05);
    assertThat(arguments.flag("infonce_use_batch")).isFalse();
    assertThat(arguments.number("lr")).isEqualTo(1e-5);

    List<String> words = new ArrayList<>(List.of(EMBEDDING));
    words.addAll(List.of("infonce_temperature", "0.2"));
    assertThat(
            parsed("sft", ENVIRONMENT, words.toArray(String[]::new)).number("infonce_temperature"))
        .isEqualTo(0.2);
  }

  @Test
  void aVariableOfAnotherTaskIsNoMistakeAndOfAWrongValueIsOne() {
    String[] plain = {"model", "m", "dataset", "d", "train_iters", "1"};
    assertThat(parsed("sft", ENVIRONMENT, plain).text("task_type")).isEqualTo("causal_lm");
    assertThat(TaskVariables.read(ENVIRONMENT, ParameterTable.load().forCommand("pt"))).isEmpty();
    assertThatThrownBy(() -> parsed("sft", Map.of("INFONCE_TEMPERATURE", "warm"), EMBEDDING))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("the environment variable INFONCE_TEMPERATURE");
  }
}
