package io.panatron.runtime.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.panatron.runtime.UserError;
import java.util.List;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class LossScaleTest {

  /** One digit for each of: context, first answer, its end, context, second answer, its end. */
  private static String weights(
      LossScale scale, @Nullable Boolean first, @Nullable Boolean second) {
    List<Message> messages =
        List.of(
            new Message("user", "Q"),
            new Message("assistant", "A", first),
            new Message("user", "Q"),
            new Message("assistant", "B", second));
    return Fixtures.chatMl().render(messages).stream()
        .filter(p -> p.kind() != Piece.Kind.CONTEXT || !p.text().startsWith("<|im_start|>a"))
        .map(p -> Integer.toString((int) scale.weight(messages, p)))
        .collect(Collectors.joining());
  }

  @ParameterizedTest
  @CsvSource(
      nullValues = "-",
      value = {
        "DEFAULT,    -,     -,     011011",
        "LAST_ROUND, -,     -,     000011",
        "ALL,        -,     -,     111111",
        "DEFAULT,    false, -,     001011",
        "LAST_ROUND, true,  false, 010001",
        "ALL,        false, true,  101111",
      })
  void anAnswersOwnLossDecidesForItsContent(
      LossScale scale, @Nullable Boolean first, @Nullable Boolean second, String expected) {
    assertThat(weights(scale, first, second)).isEqualTo(expected);
  }

  @Test
  void otherStrategiesAreRefusedByName() {
    assertThatThrownBy(() -> LossScale.parse("last_round+ignore_empty_think"))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("--loss_scale last_round+ignore_empty_think is not supported yet");
  }
}
