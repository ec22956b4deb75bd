package io.panatron.runtime.data.jinja;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import io.panatron.runtime.data.Fixtures;
import java.io.IOException;
import java.nio.file.Files;
import java.time.ZonedDateTime;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The expected texts of golden.json were rendered by transformers 5.18 from the same templates. */
class JinjaTemplateTest {

  @TestFactory
  List<DynamicTest> rendersWhatTransformersRenders() {
    JsonNode golden = Fixtures.json("jinja/golden.json");
    List<DynamicTest> tests = new ArrayList<>();
    for (JsonNode c : golden.get("cases")) {
      String name =
          c.get("template").asText() + " " + c.get("conversation") + c.get("add_generation_prompt");
      JsonNode conversation = golden.get("conversations").get(c.get("conversation").asInt());
      tests.add(DynamicTest.dynamicTest(name, () -> check(c, conversation)));
    }
    assertThat(tests).hasSizeGreaterThan(60);
    return tests;
  }

  private static void check(JsonNode c, JsonNode conversation) throws IOException {
    String source =
        Files.readString(Fixtures.path("jinja/" + c.get("template").asText() + ".jinja"));
    Map<String, @Nullable Object> variables = new HashMap<>();
    variables.put("messages", Fixtures.JSON.convertValue(conversation, List.class));
    variables.put("add_generation_prompt", c.get("add_generation_prompt").asBoolean());
    variables.put("bos_token", "<|begin_of_text|>");
    variables.put("eos_token", "</s>");
    variables.put("date_string", "26 Jul 2024");
    variables.put("tools", null);
    JinjaTemplate template = JinjaTemplate.parse(source, Fixtures.NOW);
    if (c.has("error")) {
      assertThatThrownBy(() -> template.render(variables))
          .isInstanceOf(JinjaException.class)
          .hasMessage("the template says: " + c.get("error").asText());
    } else {
      assertThat(template.render(variables)).isEqualTo(c.get("expected").asText());
    }
  }

  @Test
  void expressionsFollowPython() {
    List<Map<String, String>> messages =
        List.of(message("user", "héllo"), message("assistant", "b"), message("user", "c"));
    Map<String, @Nullable Object> variables = new HashMap<>();
    variables.put("msgs", messages);
    variables.put("x", null);
    JsonNode cases = Fixtures.json("jinja/expressions.json");
    assertThat(cases).hasSize(38);
    for (JsonNode c : cases) {
      String source = c.get("source").asText();
      assertThat(JinjaTemplate.parse(source, Fixtures.NOW).render(variables))
          .as(source)
          .isEqualTo(c.get("expected").asText());
    }
  }

  private static Map<String, String> message(String role, String content) {
    Map<String, String> message = new LinkedHashMap<>(); // printed in this order
    message.put("role", role);
    message.put("content", content);
    return message;
  }

  private static String render(String source) {
    return JinjaTemplate.parse(source, Fixtures.NOW).render(Map.of("x", "a b", "n", 3L));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '@',
      value = {
        "{{ x | nope }}                  @ the filter 'nope' is not supported",
        "{{ x is nope }}                 @ the test 'nope' is not supported",
        "{% include 'x' %}               @ the statement 'include' is not supported",
        "{% if x %}                      @ is missing",
        "{% endif %}                     @ the statement 'endif' is not supported",
        "{{ x                            @ a tag is not closed by }}",
        "{# x                            @ a comment is not closed",
        "{{ 'x }}                        @ a string is not closed",
        "{{ x ] }}                       @ closes nothing",
        "{{ }}                           @ expected a value",
        "{{ x ; }}                       @ unexpected character ';'",
        "{% break %}                     @ outside a loop",
        "{% for i in x recursive %}      @ recursive loops are not supported",
      })
  void anUnknownConstructIsRefusedWhenRead(String source, String message) {
    assertThatThrownBy(() -> JinjaTemplate.parse(source.strip(), Fixtures.NOW))
        .isInstanceOf(JinjaException.class)
        .hasMessageContaining(message)
        .hasMessageStartingWith("line 1: ");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "{{ nope.a }}                 | 'nope' is undefined",
        "{{ nope + 'x' }}             | 'nope' is undefined",
        "{{ x + 1 }}                  | does not work on a string and an integer",
        "{{ 1 / 0 }}                  | division by zero",
        "{{ x() }}                    | cannot be called",
        "{{ [1].append(2) }}          | would change a value",
        "{{ raise_exception('no') }}  | the template says: no",
        "{{ range(10000000) }}        | longer than",
        "{% set a, b = [1] %}         | do not fit",
        "{% set x.y = 1 %}            | not a namespace",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }} | calls itself too often",
      })
  void aFailingOperationIsAnError(String source, String message) {
    assertThatThrownBy(() -> render(source.strip()))
        .isInstanceOf(JinjaException.class)
        .hasMessageContaining(message);
  }

  @Test
  void deepNestingIsAnErrorAndNoStackOverflow() {
    String deep = "{{ " + "(".repeat(100_000) + "1" + ")".repeat(100_000) + " }}";
    assertThatThrownBy(() -> JinjaTemplate.parse(deep, Fixtures.NOW))
        .isInstanceOf(JinjaException.class)
        .hasMessageContaining("nested too deeply");
    String blocks = "{% if x %}".repeat(10_000) + "{% endif %}".repeat(10_000);
    assertThatThrownBy(() -> JinjaTemplate.parse(blocks, Fixtures.NOW))
        .isInstanceOf(JinjaException.class)
        .hasMessageContaining("nested too deeply");
  }

  @Test
  void theClockIsTheOneGiven() {
    assertThat(render("{{ strftime_now('%d %b %Y, %-d %H:%M %%') }}"))
        .isEqualTo("05 Mar 2026, 5 14:07 %");
  }

  /** By its identity kept tokens are found again, so it tells as much of the time as is written. */
  @ParameterizedTest
  @CsvSource({
    "x, 1000000, true",
    "'{%-if true %}{{ strftime_now(''%d %b %Y'') }}{%-endif %}', 3600, true",
    "'{%-if true %}{{ strftime_now(''%d %b %Y'') }}{%-endif %}', 86400, false",
    "{{ strftime_now('%Y-%m-%d %H h') }}, 60, true",
    "{{ strftime_now('%Y-%m-%d %H h') }}, 3600, false",
    "{{ strftime_now('%-I %p') }}, 3600, false",
    "{{ strftime_now('%F %H:%M') }}, 1, true",
    "{{ strftime_now('%F %H:%M') }}, 60, false",
    "{{ strftime_now('%T') }}, 1, false",
    "{{ strftime_now(format) }}, 1, false"
  })
  void identityTellsTheTimeAsFarAsItIsWritten(String source, int later, boolean same) {
    ZonedDateTime start = Fixtures.NOW.withMinute(0).withSecond(0);
    String first = JinjaTemplate.parse(source, start).identity();
    String second = JinjaTemplate.parse(source, start.plusSeconds(later)).identity();
    assertThat(second.equals(first)).isEqualTo(same);
  }

  @Test
  void contentThatLooksLikeATemplateIsNotRendered() {
    assertThat(
            JinjaTemplate.parse("{{ x }}", Fixtures.NOW).render(Map.of("x", "{{ 1 }}{% if %}{#")))
        .isEqualTo("{{ 1 }}{% if %}{#");
  }
}
