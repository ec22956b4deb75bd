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
import org.junit.jupiter.params.provider.ValueSource;

class LossScaleTest {

  /** One digit for each of: context, first answer, its end, context, second answer, its end. */
  private static String weights(String scale, @Nullable Boolean first, @Nullable Boolean second) {
    List<Message> messages =
        List.of(
            new Message("user", "Q"),
            new Message("assistant", "A", first),
            new Message("user", "Q"),
            new Message("assistant", "B", second));
    return Fixtures.chatMl().render(messages).stream()
        .filter(p -> p.kind() != Piece.Kind.CONTEXT || !p.text().startsWith("<|im_start|>a"))
        .map(p -> LossScale.parse(scale).weigh(messages, p).getFirst())
        .map(part -> Integer.toString((int) part.weight()))
        .collect(Collectors.joining());
  }

  @ParameterizedTest
  @CsvSource(
      nullValues = "-",
      value = {
        "default,         -,     -,     011011",
        "last_round,      -,     -,     000011",
        "all,             -,     -,     111111",
        "default,         false, -,     001011",
        "last_round,      true,  false, 010001",
        "all,             false, true,  101111",
        "react,           -,     -,     011011",
        "last_round+qwen, true,  -,     010011",
        "all+hermes,      false, -,     101111",
      })
  void anAnswersOwnLossDecidesForItsContent(
      String scale, @Nullable Boolean first, @Nullable Boolean second, String expected) {
    assertThat(weights(scale, first, second)).isEqualTo(expected);
  }

  /** The stretches of an answer as weight and text, parted by bars. */
  private static String weighed(String scale, Message question, Message answer) {
    List<Message> messages = List.of(question, answer);
    Piece piece = new Piece(answer.content(), Piece.Kind.RESPONSE, 1);
    return LossScale.parse(scale).weigh(messages, piece).stream()
        .map(part -> "%.0f%s".formatted(part.weight(), part.text().replace("\n", "~")))
        .collect(Collectors.joining("|"));
  }

  private static String weighed(String scale, String answer) {
    return weighed(
        scale, new Message("user", "Q"), new Message("assistant", answer.replace("~", "\n")));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      value = {
        // Without a key everything weighs 1.
        "react;       plain;                             1plain",
        "react;       a Thought: b;                      1a |1Thought:|1 b",
        "react;       Action: f~Action Input: x~Observation: y~Final Answer: z;"
            + " 2Action:|2 f~|2Action Input:|2 x~|2Observation:|0 y~|1Final Answer:|1 z",
        "react;       Action:Observation:;               2Action:|2Observation:",
        "alpha_umi;   Thought: t Next: caller;           1Thought:|1 t |2Next:|2 caller",
        "react;       Next: caller;                      1Next: caller",
        "qwen;        ✿FUNCTION✿: f✿RESULT✿: r✿RETURN✿: e;"
            + " 2✿FUNCTION✿:|2 f|2✿RESULT✿:|0 r|1✿RETURN✿:|1 e",
        "agentflan;   Thought: t ACTION: a Observation: o;"
            + " 1Thought:|1 t |1ACTION:|3 a |2Observation:|0 o",
        "hermes;      a<tool_call>~{}~</tool_call>b;     1a|2<tool_call>~{}~</tool_call>|1b",
        "hermes;      <tool_call>1</tool_call><tool_call>2</tool_call>;"
            + " 2<tool_call>1</tool_call>|2<tool_call>2</tool_call>",
        "hermes;      <tool_call>open;                   1<tool_call>open",
        "ignore_empty_think; <think>~~</think>~~A;       0<think>~~</think>~~|1A",
        "ignore_empty_think; </think>A;                  0</think>|1A",
        "ignore_empty_think; <think>t</think>A;          1<think>t</think>A",
        "ignore_empty_think; A <think></think>;          1A <think></think>",
        "ignore_empty_think; <think></think></think>A;   0<think></think>|1</think>A",
        "ignore_think_prefix; <think>~t</think>;         0<think>~|1t</think>",
        // One after the other, their weights multiply.
        "hermes+react;    Action:<tool_call>x</tool_call>; 2Action:|2<tool_call>x</tool_call>",
        "react+hermes;    Action:<tool_call>x</tool_call>; 2Action:|4<tool_call>x</tool_call>",
        "last_round+hermes+ignore_empty_think; <think></think><tool_call>x</tool_call>;"
            + " 0<think></think>|2<tool_call>x</tool_call>",
      })
  void aWeightingWeighsStretchesOfAnAnswer(String scale, String answer, String expected) {
    assertThat(weighed(scale, answer)).isEqualTo(expected);
  }

  @Test
  void agentFlansQuestionsDecideForTheWholeAnswer() {
    Message answer = new Message("assistant", "Action: f");
    assertThat(weighed("agentflan", new Message("user", "What is the value of x?"), answer))
        .isEqualTo("3Action: f");
    assertThat(weighed("agentflan", new Message("user", "What is it?"), answer))
        .isEqualTo("1Action:|3 f");
  }

  @Test
  void anAnswersOwnLossScaleWinsOverWeightingsAndLosesToItsLoss() {
    Message question = new Message("user", "Q");
    assertThat(weighed("react", question, new Message("assistant", "Action: f", null, 5f)))
        .isEqualTo("5Action: f");
    assertThat(weighed("react", question, new Message("assistant", "Action: f", false, 5f)))
        .isEqualTo("0Action: f");
  }

  @Test
  void baseAllWeighsTheContextToo() {
    Piece context = Piece.context("say <tool_call>x</tool_call>");
    assertThat(LossScale.parse("all+hermes").weigh(List.of(), context))
        .containsExactly(
            new WeightedText("say ", 1), new WeightedText("<tool_call>x</tool_call>", 2));
    assertThat(LossScale.parse("hermes").weigh(List.of(), context))
        .containsExactly(new WeightedText(context.text(), 0));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"default", "all", "default+react", "last_round+hermes+ignore_empty_think"})
  void whatIsReadIsShown(String scale) {
    assertThat(LossScale.parse(scale)).hasToString(scale);
    assertThat(LossScale.parse("hermes")).hasToString("default+hermes");
  }

  @ParameterizedTest
  @CsvSource({
    "some,             does not name a way to weigh losses with 'some'",
    "react+last_round, does not name a way to weigh losses with 'last_round'",
    "default+,         does not name a way to weigh losses with ''",
    "REACT,            does not name a way to weigh losses with 'REACT'",
    "react+react,      names react twice",
  })
  void whatCannotBeReadIsRefused(String scale, String reason) {
    assertThatThrownBy(() -> LossScale.parse(scale))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("--loss_scale " + scale + " " + reason);
  }
}
