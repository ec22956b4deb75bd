package io.panatron.runtime.data.source;

import com.fasterxml.jackson.core.JsonLocation;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.dataformat.csv.CsvMapper;
import com.fasterxml.jackson.dataformat.csv.CsvParser;
import io.panatron.runtime.UserError;
import java.io.BufferedReader;
import java.io.FilterReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.Reader;
import java.io.UncheckedIOException;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The rows of a CSV file with a header line (RFC 4180): cells are texts, an empty cell without
 * quotes is none, and a cell in quotes may hold line ends.
 */
final class CsvCursor implements RowCursor {
  private final Path path;
  private final JsonParser parser;
  private final Lines lines;
  private final List<String> header;

  private CsvCursor(Path path, JsonParser parser, Lines lines, List<String> header) {
    this.path = path;
    this.parser = parser;
    this.header = header;
    this.lines = lines;
  }

  static CsvCursor open(Path path, InputStream in) {
    // Jackson's own decoder replaces what is not UTF-8; this one stops there.
    BufferedReader text =
        new BufferedReader(new InputStreamReader(in, StandardCharsets.UTF_8.newDecoder()));
    try {
      skipMark(text);
      Lines lines = new Lines(text);
      JsonParser parser =
          CsvMapper.builder()
              .enable(CsvParser.Feature.WRAP_AS_ARRAY)
              .enable(CsvParser.Feature.SKIP_EMPTY_LINES)
              .enable(CsvParser.Feature.EMPTY_UNQUOTED_STRING_AS_NULL)
              .build()
              .createParser(lines);
      parser.nextToken();
      Cells first = record(parser, lines, List.of());
      List<String> header = new ArrayList<>();
      for (String name : first == null ? List.<@Nullable String>of() : first.cells()) {
        if (name == null || header.contains(name)) {
          throw new UserError(
              path + ":1 names a column twice or not at all; the first line must name each column");
        }
        header.add(name);
      }
      return new CsvCursor(path, parser, lines, header);
    } catch (IOException e) {
      throw malformed(path, 1, e);
    }
  }

  private static void skipMark(BufferedReader text) throws IOException {
    text.mark(1);
    if (text.read() != '\ufeff') {
      text.reset();
    }
  }

  /** A record and the line on which it starts. */
  private record Cells(long number, List<String> header, List<@Nullable String> cells)
      implements RawRow {
    @Override
    public ObjectNode columns() throws BadRow {
      if (cells.size() > header.size()) {
        throw new BadRow(
            BadRow.Kind.SYNTAX,
            "has "
                + cells.size()
                + " cells for "
                + header.size()
                + " columns; a cell with a comma needs quotes");
      }
      ObjectNode row = RowJson.MAPPER.createObjectNode();
      for (int i = 0; i < cells.size(); i++) {
        row.put(header.get(i), cells.get(i));
      }
      return row;
    }
  }

  @Override
  public @Nullable RawRow next() {
    try {
      return record(parser, lines, header);
    } catch (IOException e) {
      throw malformed(path, lines.of(e), e);
    }
  }

  /** The next record; null after the last. */
  private static @Nullable Cells record(JsonParser parser, Lines lines, List<String> header)
      throws IOException {
    lines.started = 0;
    if (parser.nextToken() != JsonToken.START_ARRAY) {
      return null;
    }
    List<@Nullable String> cells = new ArrayList<>();
    while (parser.nextToken() != JsonToken.END_ARRAY) {
      if (lines.started == 0) {
        lines.started = lines.at(parser.currentTokenLocation().getCharOffset());
      }
      cells.add(parser.currentToken() == JsonToken.VALUE_NULL ? null : parser.getText());
    }
    lines.ended = parser.currentLocation().getCharOffset();
    return new Cells(lines.started, header, cells);
  }

  /** Counts line ends, since the parser does not count those in quotes. */
  private static final class Lines extends FilterReader {
    private final Deque<Long> ends = new ArrayDeque<>();
    private long read;
    private long line = 1;
    private long started;
    private long ended;

    Lines(Reader in) {
      super(in);
    }

    @Override
    public int read() throws IOException {
      char[] one = new char[1];
      return read(one, 0, 1) < 0 ? -1 : one[0];
    }

    @Override
    public int read(char[] buffer, int offset, int length) throws IOException {
      int n = super.read(buffer, offset, length);
      for (int i = 0; i < n; i++) {
        if (buffer[offset + i] == '\n') {
          ends.add(read + i);
        }
      }
      read += Math.max(n, 0);
      return n;
    }

    /**
     * The line of a mistake: where its record starts, or where the parser saw it if that is in the
     * first cell. A quote without its end is seen at the end of the file, far from where it opens.
     */
    long of(IOException e) {
      if (started > 0) {
        return started;
      }
      JsonLocation place = e instanceof JsonProcessingException json ? json.getLocation() : null;
      if (place != null && place.getCharOffset() < read - 1) {
        return at(place.getCharOffset());
      }
      // The end of a record is that of its last cell, one or two characters before the line's.
      return at(ended + 2);
    }

    /** The line of a character; to be asked in order. */
    long at(long offset) {
      while (!ends.isEmpty() && ends.getFirst() < offset) {
        ends.removeFirst();
        line++;
      }
      return line;
    }
  }

  private static UserError malformed(Path path, long line, IOException e) {
    if (!(e instanceof JsonProcessingException || e instanceof CharacterCodingException)) {
      return DataFormat.broken(path, line, e);
    }
    String why =
        e instanceof JsonProcessingException json ? json.getOriginalMessage() : e.toString();
    return new UserError(
        path
            + ":"
            + line
            + " is not valid CSV in UTF-8 ("
            + why
            + "); mend it, an opening quote without its end being the usual mistake",
        e);
  }

  @Override
  public void close() {
    try {
      parser.close();
    } catch (IOException e) {
      throw new UncheckedIOException("closing " + path, e);
    }
  }
}
