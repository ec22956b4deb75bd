package io.panatron.runtime.data.source;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.panatron.runtime.UserError;
import io.panatron.runtime.data.Fixtures;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class DataFormatTest {
  @TempDir Path folder;

  private Path write(String name, String text) throws IOException {
    return Files.writeString(folder.resolve(name), text);
  }

  private Path gzip(String name, String text) throws IOException {
    Path file = folder.resolve(name);
    try (OutputStream out = new GZIPOutputStream(Files.newOutputStream(file))) {
      out.write(text.getBytes(StandardCharsets.UTF_8));
    }
    return file;
  }

  /** "number columns" of each row, or "number ! reason"; read in both ways, which must agree. */
  private static List<String> rows(Path file) {
    List<String> inOrder = new ArrayList<>();
    try (RowCursor cursor = DataFormat.cursor(file)) {
      RawRow row;
      while ((row = cursor.next()) != null) {
        try {
          inOrder.add(RawRow.place(row.number()) + " " + row.columns());
        } catch (BadRow e) {
          inOrder.add(RawRow.place(row.number()) + " ! " + e.reason());
        }
      }
    }
    List<String> byNumber = new ArrayList<>();
    try (RowFile open = DataFormat.open(file)) {
      for (int i = 0; i < open.rows(); i++) {
        try {
          byNumber.add(RawRow.place(open.number(i)) + " " + open.columns(i));
        } catch (BadRow e) {
          byNumber.add(RawRow.place(open.number(i)) + " ! " + e.reason());
        }
      }
    }
    assertThat(byNumber).isEqualTo(inOrder);
    return inOrder;
  }

  @Test
  void jsonLinesKeepTheirNumbersAndBadOnesStayApart() throws IOException {
    String text = "\ufeff{\"a\": 1}\r\n\n \t\n{oops\n{\"a\": \"\u00e9\"}";
    for (Path file : List.of(write("a.jsonl", text), gzip("b.jsonl.gz", text))) {
      assertThat(rows(file)).hasSize(3).contains("1 {\"a\":1}", "5 {\"a\":\"\u00e9\"}");
      assertThat(rows(file).get(1)).startsWith("4 ! is not valid JSON");
    }
  }

  @Test
  void aLineMayBeLongerThanTheReadersBuffer() throws IOException {
    String value = "x".repeat(200_000);
    Path file = write("a.jsonl", "{\"a\":\"" + value + "\"}\n{\"a\":\"b\"}\n");
    assertThat(rows(file)).containsExactly("1 {\"a\":\"" + value + "\"}", "2 {\"a\":\"b\"}");
  }

  @Test
  void linesOfTextAreTextColumns() throws IOException {
    assertThat(rows(write("a.txt", "one \u00fc\r\n\ntwo\n\n")))
        .containsExactly("1 {\"text\":\"one \u00fc\"}", "3 {\"text\":\"two\"}");
    assertThat(rows(gzip("b.txt.gz", "one\ntwo"))).hasSize(2);
  }

  @Test
  void jsonIsAListOrASequence() throws IOException {
    String list = "[\n {\"a\": 1,\n  \"b\": [2]},\n {\"a\": 3}]\n";
    assertThat(rows(write("a.json", list)))
        .containsExactly("2 (row 1) {\"a\":1,\"b\":[2]}", "4 (row 2) {\"a\":3}");
    assertThat(rows(gzip("a.json.gz", list))).hasSize(2);
    assertThat(rows(write("b.json", "{\"a\": 1}\n{\"a\":\n2}")))
        .containsExactly("1 (row 1) {\"a\":1}", "2 (row 2) {\"a\":2}");
    assertThat(rows(write("c.json", "\ufeff[{\"a\": 1},{\"a\": 2}]")))
        .containsExactly("1 (row 1) {\"a\":1}", "1 (row 2) {\"a\":2}");
    assertThat(rows(write("c.txt", "\ufeffone\ntwo")))
        .containsExactly("1 {\"text\":\"one\"}", "2 {\"text\":\"two\"}");
    assertThat(rows(write("c.json", "[]"))).isEmpty();
    assertThat(rows(write("d.json", ""))).isEmpty();
  }

  @Test
  void csvCellsMayHoldCommasQuotesAndLineEnds() throws IOException {
    String text =
        "\ufeffquery,response,n\r\nq,\"a, \"\"b\"\"\nc\",1\r\n\r\n\u00e4,r,\r\n1,2,3,4\r\n5,\r\n";
    assertThat(rows(write("a.csv", text)))
        .containsExactly(
            "2 {\"query\":\"q\",\"response\":\"a, \\\"b\\\"\\nc\",\"n\":\"1\"}",
            "5 {\"query\":\"\u00e4\",\"response\":\"r\",\"n\":null}",
            "6 ! has 4 cells for 3 columns; a cell with a comma needs quotes",
            "7 {\"query\":\"5\",\"response\":null}");
  }

  @ParameterizedTest
  @ValueSource(strings = {"snappy", "zstd", "gzip", "uncompressed"})
  void parquetKeepsNestedColumns(String compression) {
    List<String> rows = rows(Fixtures.path("formats/chat-" + compression + ".parquet"));
    assertThat(rows).hasSize(5);
    assertThat(rows.get(3))
        .isEqualTo(
            "4 {\"messages\":[{\"role\":\"user\",\"content\":\"q3\",\"loss\":null},"
                + "{\"role\":\"assistant\",\"content\":\"r\u00e93\",\"loss\":false}],"
                + "\"id\":3,\"score\":1.5,\"extra\":{\"k\":3}}");
  }

  @Test
  void brokenFilesSayWhereAndWhatToDo() throws IOException {
    Path cut = gzip("cut.jsonl.gz", "{\"a\": 1}\n".repeat(1000));
    Files.write(cut, java.util.Arrays.copyOf(Files.readAllBytes(cut), 40));
    Object[][] cases = {
      {write("a.json", "[{\"a\": 1},\n {\"a\" 2}]"), ":2 is not valid JSON", ".jsonl"},
      {write("b.json", "[]\n{}"), ":2 follows after the end of the list", "into one list"},
      {write("a.csv", "a,b\n1,\"x\n2,3\n"), "is not valid CSV", "opening quote"},
      {write("b.csv", "a,a\n1,2\n"), ":1 names a column twice", "name each column"},
      {cut, "cannot be read on", "copy it again"},
      {write("c.jsonl.gz", "{}"), "cannot be opened", "gzip"},
      {write("a.parquet", "PAR1 nothing"), "cannot be read", "copy it again"},
      {Fixtures.path("formats/text-lz4.parquet"), "cannot be read", "Snappy"},
      {folder.resolve("gone.jsonl"), "cannot be opened", "check the path"},
    };
    for (Object[] c : cases) {
      assertThatThrownBy(() -> rows((Path) c[0]))
          .as(String.valueOf(c[0]))
          .isInstanceOf(UserError.class)
          .hasMessageContaining(c[0].toString())
          .hasMessageContaining(c[1].toString())
          .hasMessageContaining(c[2].toString());
    }
  }

  @ParameterizedTest
  @CsvSource({
    "'a,b|1,2|3,4|\"5\"x,6|7,8|', 4",
    "'a,b|1,2|3,4|5,\"6\"x|7,8|', 4",
    "'a,b|1,2|\"x|5,6|7,8|', 3",
    "'a,b|1,2|3,\"x|5,6|7,8|', 3",
    "'\"a|1,2|', 1"
  })
  void aMistakeInCsvIsPlacedWhereItsRecordStarts(String lines, int line) throws IOException {
    for (String end : List.of("\n", "\r\n")) {
      Path file = write("a.csv", lines.replace("|", end));
      assertThatThrownBy(() -> rows(file))
          .isInstanceOf(UserError.class)
          .hasMessageContaining(file + ":" + line + " is not valid CSV");
    }
  }

  @Test
  void aCutCompressedCsvIsDamagedAndNotInvalid() throws IOException {
    StringBuilder text = new StringBuilder("a,b\n");
    for (int i = 0; i < 20_000; i++) {
      text.append(i * 7919L % 10_007).append(',').append(i).append('\n');
    }
    Path cut = gzip("cut.csv.gz", text.toString());
    byte[] whole = Files.readAllBytes(cut);
    Files.write(cut, java.util.Arrays.copyOf(whole, whole.length / 2));
    assertThatThrownBy(() -> rows(cut))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("cannot be read on")
        .hasMessageContaining("copy it again");
  }
}
