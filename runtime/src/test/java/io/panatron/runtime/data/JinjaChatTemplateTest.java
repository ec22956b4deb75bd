package io.panatron.runtime.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import io.panatron.runtime.data.Piece.Kind;
import io.panatron.runtime.data.jinja.JinjaTemplate;
import java.io.IOException;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class JinjaChatTemplateTest {
  private static JinjaChatTemplate of(String source) {
    return new JinjaChatTemplate(
        JinjaTemplate.parse(source, Fixtures.NOW),
        Map.of(
            "bos_token", "<|begin_of_text|>", "eos_token", "</s>", "date_string", "26 Jul 2024"));
  }

  private static JinjaChatTemplate file(String name) throws IOException {
    return of(Files.readString(Fixtures.path("jinja/" + name + ".jinja")));
  }

  private static final Message USER = new Message("user", "Q");

  private static Message answer(String content) {
    return new Message("assistant", content);
  }

  private static String trained(List<Piece> pieces) {
    return pieces.stream()
        .map(p -> p.kind() == Kind.CONTEXT ? "" : "[" + p.kind() + " " + p.text() + "]")
        .collect(Collectors.joining());
  }

  @ParameterizedTest
  @ValueSource(strings = {"qwen25", "qwen3", "llama3", "llama3old"})
  void thePiecesAreTheRendering(String name) throws IOException {
    JsonNode golden = Fixtures.json("jinja/golden.json");
    int checked = 0;
    for (JsonNode c : golden.get("cases")) {
      if (!c.get("template").asText().equals(name)) {
        continue;
      }
      List<Message> messages = new ArrayList<>();
      golden
          .get("conversations")
          .get(c.get("conversation").asInt())
          .forEach(
              m -> messages.add(new Message(m.get("role").asText(), m.get("content").asText())));
      if (c.get("add_generation_prompt").asBoolean()) {
        assertThat(file(name).renderPrompt(messages)).isEqualTo(c.get("expected").asText());
        continue;
      }
      List<Piece> pieces = file(name).render(messages);
      assertThat(pieces.stream().map(Piece::text).collect(Collectors.joining()))
          .isEqualTo(c.get("expected").asText());
      assertThat(pieces.stream().filter(p -> p.kind() == Kind.RESPONSE).count())
          .isEqualTo(messages.stream().filter(Message::isAssistant).count());
      checked++;
    }
    assertThat(checked).isEqualTo(5);
  }

  @Test
  void anAnswerIsTrainedFromWhereGenerationWillStart() throws IOException {
    assertThat(trained(file("qwen25").render(List.of(USER, answer("A"), USER, answer("B")))))
        .isEqualTo("[RESPONSE A][SUFFIX <|im_end|>\n][RESPONSE B][SUFFIX <|im_end|>\n]");
    assertThat(trained(file("llama3").render(List.of(USER, answer("A"), USER, answer(" B\n")))))
        .isEqualTo("[RESPONSE A][SUFFIX <|eot_id|>][RESPONSE B][SUFFIX <|eot_id|>]");
  }

  @Test
  void reasoningThatTheTemplateDropsFromEarlierTurnsIsNotTrained() throws IOException {
    List<Message> messages =
        List.of(
            USER,
            answer("<think>\none\n</think>\n\nA"),
            USER,
            answer("<think>\ntwo\n</think>\n\nB"));
    assertThat(trained(file("qwen3").render(messages)))
        .isEqualTo(
            "[RESPONSE A][SUFFIX <|im_end|>\n]"
                + "[RESPONSE <think>\ntwo\n</think>\n\nB][SUFFIX <|im_end|>\n]");
  }

  @Test
  void theEmptyReasoningThatTheTemplateAddsIsTrained() throws IOException {
    assertThat(trained(file("qwen3").render(List.of(USER, answer("A")))))
        .isEqualTo("[RESPONSE <think>\n\n</think>\n\nA][SUFFIX <|im_end|>\n]");
  }

  @Test
  void aTemplateWithoutGenerationPromptIsTrainedFromTheContent() throws IOException {
    assertThat(trained(file("mistral").render(List.of(USER, answer("A"), USER, answer("B")))))
        .isEqualTo("[RESPONSE A][SUFFIX </s>][RESPONSE B][SUFFIX </s>]");
  }

  @Test
  void emptyAndRepeatedAnswersAreTold() throws IOException {
    assertThat(trained(file("qwen25").render(List.of(USER, answer(""), USER, answer("Q")))))
        .isEqualTo("[RESPONSE ][SUFFIX <|im_end|>\n][RESPONSE Q][SUFFIX <|im_end|>\n]");
    assertThat(trained(file("qwen25").render(List.of(USER, answer("A"), answer("A")))))
        .isEqualTo("[RESPONSE A][SUFFIX <|im_end|>\n][RESPONSE A][SUFFIX <|im_end|>\n]");
  }

  @Test
  void anAnswerThatCannotBeLocatedIsAnError() {
    JinjaChatTemplate shows = of("{{ messages[-1].content }}{{ messages[-1].content }}");
    assertThatThrownBy(() -> shows.render(List.of(USER, answer("A"))))
        .isInstanceOf(TemplateException.class)
        .hasMessageContaining("message 2")
        .hasMessageContaining("exactly once");
    JinjaChatTemplate counts = of("{{ messages[-1].content }}{{ messages[-1].content|length }}");
    assertThatThrownBy(() -> counts.render(List.of(USER, answer("A"))))
        .isInstanceOf(TemplateException.class)
        .hasMessageContaining("what follows the answer depends on the answer");
  }

  @Test
  void aConversationThatTheTemplateRefusesIsAnError() throws IOException {
    JinjaChatTemplate mistral = file("mistral");
    assertThatThrownBy(() -> mistral.render(List.of(answer("A"))))
        .isInstanceOf(TemplateException.class)
        .hasMessageContaining("Conversation roles must alternate");
  }
}
