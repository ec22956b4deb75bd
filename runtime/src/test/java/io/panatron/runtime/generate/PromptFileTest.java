package io.panatron.runtime.generate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.panatron.runtime.UserError;
import io.panatron.runtime.data.Message;
import io.panatron.runtime.data.Row;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PromptFileTest {
  @TempDir private Path folder;

  private Path file(String name, String text) throws IOException {
    return Files.writeString(folder.resolve(name), text);
  }

  @Test
  void aTextFileHoldsOnePromptPerLine() throws IOException {
    assertThat(PromptFile.read(file("p.txt", "one\n\n two {}\n"), null))
        .extracting(Row::messages)
        .containsExactly(
            List.of(new Message("user", "one")), List.of(new Message("user", " two {}")));
  }

  @Test
  void aByteOrderMarkIsNoPartOfAPrompt() throws IOException {
    List<List<Message>> asked = List.of(List.of(new Message("user", "one")));
    assertThat(PromptFile.read(file("p.txt", "\ufeffone\n"), null))
        .extracting(Row::messages)
        .isEqualTo(asked);
    assertThat(PromptFile.read(file("p.jsonl", "\ufeff{\"query\": \"one\"}"), null))
        .extracting(Row::messages)
        .isEqualTo(asked);
  }

  @Test
  void theLastAnswerOfAConversationIsLeftOut() throws IOException {
    Path file =
        file(
            "p.jsonl",
            """
            {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
            {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "a"}]}
            """);
    assertThat(PromptFile.read(file, "new"))
        .extracting(Row::messages)
        .containsExactly(
            List.of(new Message("system", "new"), new Message("user", "a")),
            List.of(new Message("system", "s"), new Message("user", "a")));
  }

  @Test
  void aQueryIsAPromptWithItsSystemAndHistory() throws IOException {
    Path file =
        file(
            "p.jsonl",
            """
            {"query": "a", "response": "left out"}
            {"system": "s", "history": [["a", "b"]], "query": "c"}
            """);
    assertThat(PromptFile.read(file, "new"))
        .extracting(Row::messages)
        .containsExactly(
            List.of(new Message("system", "new"), new Message("user", "a")),
            List.of(
                new Message("system", "s"),
                new Message("user", "a"),
                new Message("assistant", "b"),
                new Message("user", "c")));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      value = {
        "{\"messages\": [;is not valid JSON",
        "{\"text\": \"a\"};has no question",
        "{\"messages\": [{\"role\": \"assistant\", \"content\": \"a\"}]};has no question",
        "{\"messages\": [{\"role\": \"system\", \"content\": \"a\"}]};has no question",
        "{\"query\": 3};has a column 'query' that holds something other than text",
        "{\"history\": [[\"a\"]], \"query\": \"b\"};has a column 'history' that holds",
        "{\"messages\": [{\"role\": \"usr\", \"content\": \"a\"}]};message 1 without a role",
        "{\"messages\": [{\"role\": \"user\", \"content\": 3}]};message 1 without a role",
      })
  void aBadRowIsNamedWithItsLine(String row, String mistake) throws IOException {
    Path file = file("p.jsonl", "\n" + row + "\n");
    assertThatThrownBy(() -> PromptFile.read(file, null))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("p.jsonl:2 ")
        .hasMessageContaining(mistake);
  }

  @Test
  void anEmptyOrMissingFileIsRefused() throws IOException {
    Path empty = file("p.txt", "\n");
    assertThatThrownBy(() -> PromptFile.read(empty, null)).hasMessageContaining("holds no prompt");
    assertThatThrownBy(() -> PromptFile.read(folder.resolve("none.txt"), null))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("cannot be read");
  }
}
