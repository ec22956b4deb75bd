package io.panatron.runtime.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.panatron.runtime.UserError;
import io.panatron.runtime.data.source.BadRow;
import java.util.ArrayList;
import java.util.List;
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
        "{\"other\": \"x\"}                                      | has no column 'messages'",
        "{\"messages\": {}}                                      | not a list of messages",
        "{\"messages\": []}                                      | not a list of messages",
        "{\"messages\": [1]}                                     | message 1 that is not an object",
        "{\"messages\": [{\"content\": \"x\"}]}                  | lacks the 'role' of message 1",
        "{\"messages\": [{\"role\": \"tool\", \"content\": \"\"}]} | response as message 1, before which",
        "{\"messages\": [{\"role\": \"user\"}]}                  | lacks the 'content' of message 1",
        "{\"messages\": [{\"role\": \"user\", \"content\": null}]} | that is not a string",
        "{\"messages\": [{\"role\": \"user\", \"content\": []}]} | that is not a string",
        "{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}]} | the last must be 'assistant'",
        "{\"messages\": [{\"role\": \"assistant\", \"content\": \"\\ud83d\"}]} | surrogate pair",
        "{\"messages\": [{\"role\": \"assistant\", \"content\": \"\", \"loss\": 1}]} | true or false",
        "{\"messages\": [{\"role\": \"user\", \"content\": \"\"}, {\"role\": \"system\", \"content\": \"\"}]} | only the first",
      })
  void aBadConversationSaysWhatIsWrong(String row, String message) {
    assertThatThrownBy(() -> new RowParser(false, null, ColumnNames.DEFAULT).parse(row))
        .isInstanceOf(BadRow.class)
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
    assertThatThrownBy(() -> new RowParser(true, null, ColumnNames.DEFAULT).parse(row))
        .isInstanceOf(BadRow.class)
        .hasMessageContaining(message);
  }

  @Test
  void deepJsonIsABadRow() {
    String row = "{\"messages\": " + "[".repeat(100_000) + "]".repeat(100_000) + "}";
    assertThatThrownBy(() -> new RowParser(false, null, ColumnNames.DEFAULT).parse(row))
        .isInstanceOf(BadRow.class)
        .hasMessageContaining("depth");
  }

  @Test
  void theSystemPromptIsForRowsWithoutOne() throws BadRow {
    RowParser parser = new RowParser(false, "S", ColumnNames.DEFAULT);
    assertThat(parser.parse("{\"messages\": [" + ANSWERED + "]}").messages().getFirst())
        .isEqualTo(new Message("system", "S"));
    Row own =
        parser.parse(
            "{\"messages\": [{\"role\": \"system\", \"content\": \"own\"}, " + ANSWERED + "]}");
    assertThat(own.messages()).hasSize(3).startsWith(new Message("system", "own"));
  }

  @Test
  void furtherColumnsAreIgnoredAndTheLastOfTwoCounts() throws BadRow {
    Row row =
        new RowParser(false, null, ColumnNames.DEFAULT)
            .parse("{\"id\": 1, \"messages\": 3, \"x\": [{}], \"messages\": [" + ANSWERED + "]}");
    assertThat(row.messages()).hasSize(2);
  }

  @Test
  void textRowsAreOneAnswer() throws BadRow {
    RowParser parser = new RowParser(true, null, ColumnNames.DEFAULT);
    Row expected = new Row(List.of(new Message("assistant", "t")));
    assertThat(parser.parse("{\"text\": \"t\"}")).isEqualTo(expected);
    assertThat(parser.parse("{\"content\": \"t\"}")).isEqualTo(expected);
    assertThat(parser.parse("{\"messages\": [{\"role\": \"assistant\", \"content\": \"t\"}]}"))
        .isEqualTo(expected);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "\"channel\": \"maths\" | maths",
        "\"Channel\": 7 | 7",
        "\"channel\": null | None",
        "\"other\": 1 | None",
      })
  void theChannelOfARowIsReadWhereItIsAskedFor(String column, String channel) throws BadRow {
    String row = "{" + column + ", \"query\": \"Q\", \"response\": \"A\"}";
    RowParser parser = new RowParser(false, null, ColumnNames.DEFAULT, true);
    assertThat(parser.parse(row).channel()).isEqualTo(channel);
    RowParser plain = new RowParser(false, null, ColumnNames.DEFAULT);
    assertThat(plain.parse(row).channel()).isNull();
    assertThat(plain.identity()).isNotEqualTo(parser.identity());
  }

  @Test
  void aChannelThatIsNoNameIsABadRowWhereChannelsAreAskedFor() throws BadRow {
    String row = "{\"channel\": [1], \"query\": \"Q\", \"response\": \"A\"}";
    assertThatThrownBy(() -> new RowParser(false, null, ColumnNames.DEFAULT, true).parse(row))
        .isInstanceOf(BadRow.class)
        .hasMessageContaining("a column 'channel' that is not a name");
    assertThat(new RowParser(false, null, ColumnNames.DEFAULT).parse(row).channel()).isNull();
  }

  private static List<Message> sft(String columns, String row) throws BadRow {
    return new RowParser(false, null, ColumnNames.parse(columns.isEmpty() ? null : columns))
        .parse(row)
        .messages();
  }

  private static List<Message> chat(String... contents) {
    List<Message> messages = new ArrayList<>();
    for (int i = 0; i < contents.length; i++) {
      messages.add(new Message(i % 2 == 0 ? "user" : "assistant", contents[i]));
    }
    return messages;
  }

  @Test
  void queryResponseAndHistoryAreOneConversation() throws BadRow {
    String row =
        """
        {"system": "S", "query": "q3", "response": "r3", "history": [["q1", "r1"], ["q2", "r2"]]}\
        """;
    List<Message> expected = new ArrayList<>(chat("q1", "r1", "q2", "r2", "q3", "r3"));
    expected.addFirst(new Message("system", "S"));
    assertThat(sft("", row)).isEqualTo(expected);
    assertThat(
            sft(
                "",
                "{\"query\": \"q\", \"response\": \"r\", \"history\": \"[[\\\"a\\\", \\\"b\\\"]]\"}"))
        .as("a cell of a table holds the list as text")
        .isEqualTo(chat("a", "b", "q", "r"));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{\"prompt\": \"q\", \"completion\": \"r\"}",
        "{\"question\": \"q\", \"Answer\": \"r\", \"id\": 7}",
        "{\"problem\": \"q\", \"solution\": \"r\", \"answer\": null}",
        "{\"instruction\": \"q\", \"input\": null, \"output\": \"r\"}",
        "{\"instruction\": \"q\", \"input\": \"\", \"output\": \"r\"}",
        "{\"instruction\": \"q\", \"output\": \"r\"}",
        "{\"input\": \"q\", \"targets\": [\"r\", \"other\"]}",
        "{\"conversations\": [{\"from\": \"human\", \"value\": \"q\"}, {\"from\": \"gpt\", \"value\": \"r\"}]}",
        "{\"conversation\": [{\"human\": \"q\", \"assistant\": \"r\"}]}",
        "{\"messages\": \"[{\\\"role\\\": \\\"user\\\", \\\"content\\\": \\\"q\\\"}, {\\\"role\\\": \\\"bot\\\", \\\"content\\\": \\\"r\\\"}]\"}",
      })
  void commonRowsMeanQuestionAndAnswer(String row) throws BadRow {
    assertThat(sft("", row)).isEqualTo(chat("q", "r"));
  }

  @Test
  void alpacaJoinsInstructionAndInput() throws BadRow {
    assertThat(sft("", "{\"instruction\": \"Add.\", \"input\": \"1 2\", \"output\": \"3\"}"))
        .isEqualTo(chat("Add.\n1 2", "3"));
  }

  @Test
  void columnsNamedByTheUserComeFirst() throws BadRow {
    String row = "{\"Ask\": \"q\", \"question\": \"x\", \"answer\": \"y\", \"good\": \"r\"}";
    assertThat(sft("{\"ask\": \"query\", \"good\": \"response\"}", row)).isEqualTo(chat("q", "r"));
    assertThatThrownBy(() -> ColumnNames.parse("{\"a\": 1}"))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("--columns {\"a\": 1} does not map names to names");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{\"question\": \"q\", \"answer\": \"a\", \"solution\": \"s\"} | 'answer' and 'solution' that could both be the response; name one with --columns",
        "{\"query\": \"q\"}                                          | nor 'query' and 'response'",
        "{\"query\": \"q\", \"response\": 3}                         | column 'response' that is not a string",
        "{\"query\": \"q\", \"response\": \"r\", \"history\": [\"x\"]} | round 1 of 'history' that is not a list of question and answer",
        "{\"query\": \"q\", \"response\": \"r\", \"history\": \"x\"}   | 'history' that is not a list",
        "{\"conversations\": [{\"from\": \"human\"}]}                | lacks the 'content' of message 1",
      })
  void columnsThatMakeNoConversationSayWhy(String row, String message) {
    assertThatThrownBy(() -> sft("", row)).isInstanceOf(BadRow.class).hasMessageContaining(message);
  }

  @Test
  void preTrainingReadsQuestionAndAnswerToo() throws BadRow {
    RowParser parser = new RowParser(true, null, ColumnNames.DEFAULT);
    assertThat(parser.parse("{\"prompt\": \"q\", \"completion\": \"r\"}").messages())
        .isEqualTo(chat("q", "r"));
    assertThat(parser.parse("{\"text\": \"t\", \"answer\": \"a\"}").messages())
        .isEqualTo(List.of(new Message("assistant", "t")));
  }

  @Test
  void aMeaningThatNoColumnHasIsRefusedWithTheNearest() {
    assertThatThrownBy(() -> ColumnNames.parse("{\"sys\": \"sytem\"}"))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("gives a column the meaning 'sytem', which is none; use system");
    assertThatThrownBy(() -> ColumnNames.parse("{\"x\": \"nothing like it\"}"))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("use messages, query, response");
  }
}
