package io.panatron.tests.fault;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** Data sets that cannot be trained on. */
final class BadRows {
  private static final String GOOD =
      "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"},"
          + " {\"role\": \"assistant\", \"content\": \"b\"}]}";

  private BadRows() {}

  static List<BadInput> all() {
    return List.of(
        row("a row of broken JSON", "{\"messages\": [", "rows.jsonl:2", "not valid JSON"),
        row("a row cut off in a text", GOOD.substring(0, 30), "rows.jsonl:2", "not valid JSON"),
        row("two objects on a line", GOOD + GOOD, "rows.jsonl:2", "not valid JSON"),
        row("a row that is a list", "[1, 2]", "rows.jsonl:2", "not a JSON object", "messages"),
        row("a row without messages", "{\"other\": \"a\"}", "rows.jsonl:2", "'messages'"),
        row("messages that are a text", "{\"messages\": \"a\"}", "rows.jsonl:2", "not a list"),
        row("no messages", "{\"messages\": []}", "rows.jsonl:2", "not a list"),
        row(
            "an unknown role",
            GOOD.replace("user", "robot"),
            "rows.jsonl:2",
            "'robot'",
            "use system, user, assistant, tool_call or tool"),
        row(
            "a tool's response before any answer",
            GOOD.replace(
                "{\"role\": \"assistant\"",
                "{\"role\": \"tool\", \"content\": \"t\"}, {\"role\": \"assistant\""),
            "rows.jsonl:2",
            "message 2",
            "nothing calls it"),
        row(
            "a tool call that is not JSON",
            GOOD.replace("\"assistant\"", "\"tool_call\""),
            "rows.jsonl:2",
            "message 2",
            "\"arguments\""),
        row(
            "tools that are not JSON",
            GOOD.replaceFirst("\\{", "{\"tools\": \"[add]\", "),
            "rows.jsonl:2",
            "'tools'",
            "not valid JSON"),
        row(
            "a system message in the middle",
            GOOD.replace(
                "{\"role\": \"assistant\"",
                "{\"role\": \"system\", \"content\": \"s\"}," + " {\"role\": \"assistant\""),
            "rows.jsonl:2",
            "only the first"),
        row(
            "no answer at the end",
            "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}]}",
            "rows.jsonl:2",
            "the last must be 'assistant'"),
        row("a content that is a number", GOOD.replace("\"b\"", "7"), "rows.jsonl:2", "'content'"),
        row(
            "a negative loss weight",
            GOOD.replace("\"b\"", "\"b\", \"loss_scale\": -1"),
            "rows.jsonl:2",
            "'loss_scale' in message 2",
            "at least 0"),
        row("half a surrogate pair", GOOD.replace("\"b\"", "\"\\ud83d\""), "rows.jsonl:2", "half"),
        row("deep nesting", "[".repeat(5000) + "]".repeat(5000), "rows.jsonl:2", "depth"),
        BadInput.of(
            "a row that is not UTF-8",
            folder -> {
              byte[] bytes = (GOOD + "\n" + GOOD).getBytes(StandardCharsets.UTF_8);
              bytes[bytes.length - 5] = (byte) 0xff;
              return strict(folder, Files.write(folder.resolve("rows.jsonl"), bytes));
            },
            "rows.jsonl:2",
            "UTF-8"),
        BadInput.of(
            "an empty data set",
            folder -> data(folder, Files.writeString(folder.resolve("rows.jsonl"), "\n\n")),
            "--dataset",
            "rows.jsonl",
            "no training sample"),
        BadInput.of(
            "a data set of bad rows only",
            folder -> data(folder, Files.writeString(folder.resolve("rows.jsonl"), "{\n}\n")),
            "2 rows malformed",
            "rows.jsonl:1",
            "mend the rows"),
        BadInput.of(
            "rows that are all too long",
            folder -> BadInput.good(folder).with("max_length", 3),
            "16 rows longer than --max_length",
            "raise --max_length"),
        BadInput.of(
            "a data set that does not exist",
            folder -> data(folder, folder.resolve("gone.jsonl")),
            "--dataset",
            "gone.jsonl",
            "does not exist",
            "give a local file"),
        BadInput.of(
            "a data set of another format",
            folder -> data(folder, Files.writeString(folder.resolve("rows.xlsx"), "a,b")),
            "--dataset",
            "rows.xlsx",
            ".jsonl"),
        BadInput.of(
            "a folder without data",
            folder -> data(folder, Files.createDirectory(folder.resolve("rows"))),
            "--dataset",
            "without data files"),
        BadInput.of(
            "a folder named like a file",
            folder -> data(folder, Files.createDirectory(folder.resolve("rows.jsonl"))),
            "--dataset",
            "without data files"),
        BadInput.of(
            "a count of rows that is no number",
            folder -> data(folder, Path.of(Fixture.rows() + "#many")),
            "--dataset",
            "'many'",
            "number of rows"),
        BadInput.of(
            "a validation set that does not exist",
            folder -> BadInput.good(folder).with("val_dataset", folder.resolve("gone.jsonl")),
            "--val_dataset",
            "gone.jsonl",
            "does not exist"),
        BadInput.of(
            "texts for pt without a text",
            folder ->
                strict(folder, Files.writeString(folder.resolve("rows.jsonl"), "{\"a\": 1}\n"))
                    .command("pt"),
            "rows.jsonl:1",
            "'text'"));
  }

  /** A good row, the bad one on line 2, and {@code --strict true}. */
  private static BadInput row(String name, String row, String... phrases) {
    return BadInput.of(
        name,
        folder ->
            strict(
                folder, Files.writeString(folder.resolve("rows.jsonl"), GOOD + "\n" + row + "\n")),
        phrases);
  }

  private static TrainingCall strict(Path folder, Path rows) {
    return data(folder, rows).with("strict", true);
  }

  private static TrainingCall data(Path folder, Path rows) {
    return BadInput.good(folder).with("dataset", rows);
  }
}
