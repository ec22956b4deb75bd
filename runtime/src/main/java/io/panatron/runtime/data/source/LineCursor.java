package io.panatron.runtime.data.source;

import com.fasterxml.jackson.databind.JsonNode;
import io.panatron.runtime.UserError;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** Lines of a JSONL or text file in order; blank lines are skipped. */
final class LineCursor implements RowCursor {
  private final Path path;
  private final InputStream in;
  private final boolean json;
  private final byte[] chunk = new byte[1 << 16];
  private int from;
  private int to;
  private long line = 1;

  LineCursor(Path path, InputStream in, boolean json) {
    this.path = path;
    this.in = in;
    this.json = json;
  }

  /** A line's bytes without its end. */
  private record Line(long number, ByteBuffer bytes, boolean json) implements RawRow {
    @Override
    public JsonNode columns() throws BadRow {
      String text = RowJson.utf8(bytes.duplicate());
      return json ? RowJson.parse(text) : RowJson.text(text);
    }
  }

  @Override
  public @Nullable RawRow next() {
    try {
      while (true) {
        byte[] bytes = line();
        if (bytes == null) {
          return null;
        }
        long number = line++;
        ByteBuffer row = ByteBuffer.wrap(bytes);
        if (number == 1 && LineFile.startsWithMark(bytes, bytes.length)) {
          row.position(3);
        }
        if (row.hasRemaining() && bytes[bytes.length - 1] == '\r') {
          row.limit(bytes.length - 1);
        }
        if (!isBlank(row)) {
          return new Line(number, row, json);
        }
      }
    } catch (IOException e) {
      throw DataFormat.broken(path, line, e);
    }
  }

  private static boolean isBlank(ByteBuffer row) {
    for (int i = row.position(); i < row.limit(); i++) {
      byte b = row.get(i);
      if (b != ' ' && b != '\t' && b != '\r') {
        return false;
      }
    }
    return true;
  }

  private byte @Nullable [] line() throws IOException {
    ByteArrayOutputStream before = null;
    while (true) {
      if (from == to) {
        to = in.read(chunk, 0, chunk.length);
        from = 0;
        if (to <= 0) {
          to = 0;
          return before == null ? null : before.toByteArray();
        }
      }
      int end = from;
      while (end < to && chunk[end] != '\n') {
        end++;
      }
      int start = from;
      boolean ended = end < to;
      from = ended ? end + 1 : end;
      if (before == null && ended) {
        return Arrays.copyOfRange(chunk, start, end);
      }
      before = before == null ? new ByteArrayOutputStream(2 * chunk.length) : before;
      before.write(chunk, start, end - start);
      if (before.size() > RowJson.MAX_ROW_BYTES) {
        throw new UserError(LineFile.tooLong(path, line, "over " + RowJson.MAX_ROW_BYTES));
      }
      if (ended) {
        return before.toByteArray();
      }
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
