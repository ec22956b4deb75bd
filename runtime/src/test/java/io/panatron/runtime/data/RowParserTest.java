package io.panatron.runtime.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class RowParserTest {
  private static final String ANSWERED =
      "{\"role\": \"user\", \"content\": \"Q\"}, {\"role\": \"assistant\", \"content\": \"A\"}";

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{                                                       | is not valid JSON",
        "{} {}                                                   | is not valid JSON",
        "[1]                                                     | is not a JSON object",
        "{\"text\": \"x\"}                                       | has no column 'messages'",
        "{\"messages\": {}}                                      | not a list of messages",
        "{\"messages\": []}                                      | not a list of messages",
        "{\"messages\": [1]}                                     | message 1 that is not an object",
        "{\"messages\": [{\"content\": \"x\"}]}                  | lacks the 'role' of message 1",
        "{\"messages\": [{\"role\": \"tool\", \"content\": \"\"}]} | the role 'tool' in message 1",
        "{\"messages\": [{\"role\": \"user\"}]}                  | lacks the 'content' of message 1",
        "{\"messages\": [{\"role\": \"user\", \"content\": null}]} | that is not a string",
        "{\"messages\": [{\"role\": \"user\", \"content\": []}]} | that is not a string",
        "{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}]} | the last must be 'assistant'",
        "{\"messages\": [{\"role\": \"assistant\", \"content\": \"\\ud83d\"}]} | surrogate pair",
        "{\"messages\": [{\"role\": \"assistant\", \"content\": \"\", \"loss\": 1}]} | true or false",
        "{\"messages\": [{\"role\": \"user\", \"content\": \"\"}, {\"role\": \"system\", \"content\": \"\"}]} | only the first",
      })
  void aBadConversationSaysWhatIsWrong(String row, String message) {
    assertThatThrownBy(() -> new RowParser(false, null).parse(row))
        .isInstanceOf(RowParser.BadRow.class)
        .hasMessageContaining(message)
        .hasMessageNotContaining("\n");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{\"other\": 1}    | has no column 'text'",
        "{\"text\": 1}     | that is not a string",
        "{\"text\": \"\"}  | has an empty column 'text'",
      })
  void badTextSaysWhatIsWrong(String row, String message) {
    assertThatThrownBy(() -> new RowParser(true, null).parse(row))
        .isInstanceOf(RowParser.BadRow.class)
        .hasMessageContaining(message);
  }

  @Test
  void deepJsonIsABadRow() {
    String row = "{\"messages\": " + "[".repeat(100_000) + "]".repeat(100_000) + "}";
    assertThatThrownBy(() -> new RowParser(false, null).parse(row))
        .isInstanceOf(RowParser.BadRow.class)
        .hasMessageContaining("depth");
  }

  @Test
  void theSystemPromptIsForRowsWithoutOne() throws RowParser.BadRow {
    RowParser parser = new RowParser(false, "S");
    assertThat(parser.parse("{\"messages\": [" + ANSWERED + "]}").messages().getFirst())
        .isEqualTo(new Message("system", "S"));
    Row own =
        parser.parse(
            "{\"messages\": [{\"role\": \"system\", \"content\": \"own\"}, " + ANSWERED + "]}");
    assertThat(own.messages()).hasSize(3).startsWith(new Message("system", "own"));
  }

  @Test
  void furtherColumnsAreIgnoredAndTheLastOfTwoCounts() throws RowParser.BadRow {
    Row row =
        new RowParser(false, null)
            .parse("{\"id\": 1, \"messages\": 3, \"x\": [{}], \"messages\": [" + ANSWERED + "]}");
    assertThat(row.messages()).hasSize(2);
  }

  @Test
  void textRowsAreOneAnswer() throws RowParser.BadRow {
    RowParser parser = new RowParser(true, null);
    Row expected = new Row(java.util.List.of(new Message("assistant", "t")));
    assertThat(parser.parse("{\"text\": \"t\"}")).isEqualTo(expected);
    assertThat(parser.parse("{\"content\": \"t\"}")).isEqualTo(expected);
    assertThat(parser.parse("{\"messages\": [{\"role\": \"assistant\", \"content\": \"t\"}]}"))
        .isEqualTo(expected);
  }
}
