package io.panatron.runtime.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.panatron.runtime.data.agent.Tool;
import io.panatron.runtime.data.source.BadRow;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ToolMessagesTest {
  private static final String ADD = "{\"name\": \"add\", \"arguments\": {\"a\": 1, \"b\": [2.0]}}";

  private static Row parse(String row) throws BadRow {
    return new RowParser(false, null, ColumnNames.DEFAULT).parse(row);
  }

  private static String messages(String... further) {
    return "{\"messages\": [{\"role\": \"user\", \"content\": \"Q\"}, "
        + String.join(", ", further)
        + "]}";
  }

  private static String message(String role, String content) {
    return "{\"role\": \"" + role + "\", \"content\": " + content + "}";
  }

  @Test
  void callsAndResultsMayBeJsonWithoutQuotes() throws BadRow {
    Row row =
        parse(
            messages(
                message("function_call", ADD),
                message("observation", "{\"sum\": 3, \"text\": \"é\"}"),
                message("assistant", "\"3\"")));
    assertThat(row.messages())
        .containsExactly(
            new Message("user", "Q"),
            new Message("tool_call", ADD),
            new Message("tool", "{\"sum\": 3, \"text\": \"é\"}"),
            new Message("assistant", "3"));
  }

  @Test
  void callsInsideAnAnswerBecomeMessagesOfTheirOwn() throws BadRow {
    String calls =
        "\"tool_calls\": [{\"type\": \"function\", \"function\": {\"name\": \"add\", \"arguments\":"
            + " \"{\\\"a\\\": 1}\"}}], \"loss\": false}";
    Row row =
        parse(
            messages(
                "{\"role\": \"assistant\", \"content\": null, " + calls,
                message("tool", "\"3\""),
                "{\"role\": \"assistant\", \"content\": \"so\", " + calls));
    Message call =
        new Message("tool_call", "{\"name\": \"add\", \"arguments\": \"{\\\"a\\\": 1}\"}", false);
    assertThat(row.messages())
        .containsExactly(
            new Message("user", "Q"),
            call,
            new Message("tool", "3"),
            new Message("assistant", "so", false),
            call);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "[{\"name\": \"add\", \"parameters\": {}}]",
        "{\"name\": \"add\", \"parameters\": {}}",
        "\"[{\\\"name\\\": \\\"add\\\", \\\"parameters\\\": {}}]\"",
        "[\"{\\\"name\\\": \\\"add\\\", \\\"parameters\\\": {}}\"]",
        "[{\"type\": \"function\", \"function\": {\"name\": \"add\", \"parameters\": {}}}]",
      })
  void toolsAreWrappedHoweverTheyAreGiven(String tools) throws BadRow {
    Row row =
        parse(
            messages(message("assistant", "\"A\""))
                .replaceFirst("\\{", "{\"tools\": " + tools.replace("\\", "\\\\") + ", "));
    Map<String, Object> function = Map.of("name", "add", "parameters", Map.of());
    assertThat(row.tools())
        .containsExactly(new Tool(Map.of("type", "function", "function", function)));
  }

  @Test
  void noToolsAreNoTools() throws BadRow {
    for (String tools : List.of("null", "[]", "\"\"", "\"[]\"")) {
      String row =
          "{\"tools\": " + tools + ", " + messages(message("assistant", "\"A\"")).substring(1);
      assertThat(parse(row).tools()).as(tools).isEmpty();
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "\"[add\"                  | has in column 'tools' text that is not valid JSON",
        "3                         | has in column 'tools' a tool that is not a JSON object",
        "[\"add\"]                 | has in column 'tools' text that is not valid JSON",
        "[{\"n\": 99999999999999999999}] | has in column 'tools' an integer of more than 64 bits",
      })
  void badToolsSayWhatIsWrong(String tools, String message) {
    String row =
        "{\"tools\": " + tools + ", " + messages(message("assistant", "\"A\"")).substring(1);
    assertThatThrownBy(() -> parse(row))
        .isInstanceOf(BadRow.class)
        .hasMessageContaining(message)
        .extracting(e -> ((BadRow) e).kind())
        .isEqualTo(BadRow.Kind.CONTENT);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "tool_call | \"add\"             | has in message 2 a tool call that is not JSON such as",
        "tool_call | {\"arguments\": {}} | has in message 2 a tool call that is not JSON such as",
        "tool_call | {\"name\": \"add\"} | has in message 2 a call of the tool 'add' without 'arguments'",
        "tool_call | null                | has a 'content' of message 2 that is not a string",
        "tool      | \"3\"               | has a tool's response as message 2, before which nothing calls it",
      })
  void badCallsSayWhatIsWrong(String role, String content, String message) {
    String row = messages(message(role, content), message("assistant", "\"A\""));
    assertThatThrownBy(() -> parse(row)).isInstanceOf(BadRow.class).hasMessageContaining(message);
  }
}
