package io.panatron.runtime.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import io.panatron.runtime.data.source.BadRow;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/**
 * The built-in templates against Megatron-SWIFT's own (swift.json: texts and which of them are
 * trained) and against the chat templates of the models (jinja.json). The scripts beside the files
 * made them.
 */
class BuiltInTemplatesTest {
  private static final JsonNode SWIFT = Fixtures.json("templates/swift.json");
  private static final JsonNode JINJA = Fixtures.json("templates/jinja.json");

  private static FormatTemplate template(JsonNode c) {
    boolean lastRound = c.path("loss_scale").asText().equals("last_round");
    JsonNode prefix = c.path("add_non_thinking_prefix");
    TemplateOptions options =
        new TemplateOptions(
            c.get("template").asText(),
            TemplateOptions.Backend.SWIFT,
            true,
            c.has("agent") ? c.get("agent").asText() : null,
            c.has("enable_thinking") ? c.get("enable_thinking").asBoolean() : null,
            prefix.isMissingNode() ? null : prefix.asBoolean(),
            null,
            lastRound);
    return FormatTemplate.of(format(c.get("template").asText()), options, "");
  }

  private static ChatFormat format(String name) {
    return Objects.requireNonNull(ChatFormats.named(name)).resolved("<BOS>", "<EOS>", Fixtures.NOW);
  }

  private static Row row(JsonNode conversation) throws BadRow {
    return new RowParser(false, null, ColumnNames.DEFAULT).parse(conversation);
  }

  private static List<Message> asked(List<Message> messages) {
    List<Message> asked = new ArrayList<>(messages);
    while (!asked.isEmpty() && asked.getLast().isAnswer()) {
      asked.removeLast();
    }
    return asked;
  }

  /** Stretches of equal weight as swift.json has them. */
  private static List<String> parts(Row row, FormatTemplate template, LossScale scale) {
    List<String> parts = new ArrayList<>();
    StringBuilder text = new StringBuilder();
    int weight = -1;
    for (Piece piece : template.render(row.messages(), row.tools())) {
      int w = (int) scale.weigh(row.messages(), piece).getFirst().weight();
      if (w != weight && !text.isEmpty()) {
        parts.add(weight + " " + text);
        text.setLength(0);
      }
      weight = w;
      text.append(piece.text());
    }
    parts.add(weight + " " + text);
    return parts;
  }

  @TestFactory
  List<DynamicTest> textsAndMasksAreThoseOfMegatronSwift() {
    List<DynamicTest> tests = new ArrayList<>();
    for (JsonNode c : SWIFT.get("cases")) {
      JsonNode conversation = SWIFT.get("conversations").get(c.get("conversation").asInt());
      tests.add(DynamicTest.dynamicTest(name(c), () -> checkSwift(c, conversation)));
    }
    assertThat(tests).hasSizeGreaterThan(200);
    return tests;
  }

  private static String name(JsonNode c) {
    StringBuilder name = new StringBuilder();
    c.properties()
        .forEach(e -> {
          if (e.getValue().isValueNode() && !Set.of("prompt", "text").contains(e.getKey())) {
            name.append(e.getKey()).append(' ').append(e.getValue().asText()).append(", ");
          }
        });
    return name.toString();
  }

  private static void checkSwift(JsonNode c, JsonNode conversation) throws BadRow {
    Row row = row(conversation);
    FormatTemplate template = template(c);
    if (c.has("refused")) {
      assertThatThrownBy(() -> template.render(row.messages(), row.tools()))
          .isInstanceOf(TemplateException.class);
      return;
    }
    List<String> expected = new ArrayList<>();
    c.get("parts").forEach(p -> expected.add(p.get(1).asInt() + " " + p.get(0).asText()));
    LossScale scale = LossScale.parse(c.path("loss_scale").asText("default"));
    assertThat(parts(row, template, scale)).isEqualTo(expected);
    if (c.has("prompt")) {
      assertThat(template.renderPrompt(asked(row.messages()), row.tools()))
          .isEqualTo(c.get("prompt").asText());
    }
  }

  @TestFactory
  List<DynamicTest> promptsAndTextsAreThoseOfTheModelsOwnTemplates() {
    List<DynamicTest> tests = new ArrayList<>();
    for (JsonNode c : JINJA) {
      tests.add(DynamicTest.dynamicTest(name(c) + c.get("messages").size(), () -> checkJinja(c)));
    }
    assertThat(tests).hasSizeGreaterThan(50);
    return tests;
  }

  private static void checkJinja(JsonNode c) throws BadRow {
    Row row = row(c);
    FormatTemplate template = template(c);
    if (c.has("prompt")) {
      assertThat(template.renderPrompt(asked(row.messages()), row.tools()))
          .isEqualTo(c.get("prompt").asText());
    }
    if (c.has("text")) {
      assertThat(
              template.render(row.messages(), row.tools()).stream()
                  .map(Piece::text)
                  .collect(Collectors.joining()))
          .isEqualTo(c.get("text").asText());
    }
  }

  @Test
  void everyFormatIsComparedWithMegatronSwift() {
    Set<String> compared = new TreeSet<>();
    SWIFT.get("cases").forEach(c -> compared.add(c.get("template").asText()));
    // The two that are for no answers: see TaskTemplatesTest.
    compared.addAll(List.of("qwen3_emb", "qwen3_reranker"));
    assertThat(compared).containsExactlyInAnyOrderElementsOf(ChatTemplates.names());
  }
}
