package io.panatron.runtime.data.source;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.databind.JsonNode;
import io.panatron.runtime.JsonProblem;
import io.panatron.runtime.UserError;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * The rows of a JSON file: the items of its list, or the values that stand one after the other. A
 * mistake in it ends the reading, since nobody can tell where the next row would start.
 */
final class JsonCursor implements RowCursor {
  private final Path path;
  private final InputStream in;
  private @Nullable JsonParser opened;
  private boolean list;
  private long line = 1;
  private long row;

  JsonCursor(Path path, InputStream in) {
    this.path = path;
    this.in = in;
  }

  /** A row that is parsed already. */
  record Parsed(long number, JsonNode columns) implements RawRow {}

  @Override
  public @Nullable RawRow next() {
    try {
      boolean first = opened == null;
      JsonParser parser = opened == null ? open() : opened;
      JsonToken token = parser.nextToken();
      if (first && token == JsonToken.START_ARRAY) {
        list = true;
        token = parser.nextToken();
      }
      if (list && token == JsonToken.END_ARRAY) {
        list = false;
        requireEnd(parser);
        return null;
      }
      if (token == null) {
        return null;
      }
      line = parser.currentTokenLocation().getLineNr();
      return new Parsed(RawRow.numbered(line, ++row), RowJson.IN_SEQUENCE.readTree(parser));
    } catch (JsonProcessingException e) {
      long at = e.getLocation() == null ? line : e.getLocation().getLineNr();
      throw new UserError(
          path
              + ":"
              + at
              + " is not valid JSON: "
              + JsonProblem.of(e)
              + "; mend it, or name the file .jsonl if it holds one row a line",
          e);
    } catch (IOException e) {
      throw DataFormat.broken(path, line, e);
    }
  }

  private JsonParser open() throws IOException {
    JsonParser parser = RowJson.MAPPER.createParser(in);
    opened = parser;
    return parser;
  }

  private void requireEnd(JsonParser parser) throws IOException {
    if (parser.nextToken() != null) {
      throw new UserError(
          path
              + ":"
              + parser.currentTokenLocation().getLineNr()
              + " follows after the end of the list of rows; put all rows into one list");
    }
  }

  @Override
  public void close() {
    try {
      in.close();
    } catch (IOException e) {
      throw new UncheckedIOException("closing " + path, e);
    }
  }
}
