package io.panatron.runtime.data.source;

import com.fasterxml.jackson.databind.JsonNode;
import io.panatron.runtime.UserError;
import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;

/**
 * The rows of a file that can only be read in order, written as JSON into a temporary file to be
 * read by number. The file has no name, so that nothing is left even if the process is killed.
 */
final class SpooledRows implements RowFile {
  private final Path source;
  private final FileChannel spool;
  private final Map<Integer, BadRow> bad = new HashMap<>();
  private long[] starts = new long[1024];
  private long[] numbers = new long[1024];
  private int rows;

  private SpooledRows(Path source, FileChannel spool) {
    this.source = source;
    this.spool = spool;
  }

  static SpooledRows of(Path source, RowCursor cursor) {
    FileChannel channel = null;
    boolean filled = false;
    try {
      Path file = Files.createTempFile("panatron-rows-", ".jsonl");
      try {
        channel = FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE);
      } finally {
        Files.delete(file);
      }
      SpooledRows rows = new SpooledRows(source, channel);
      rows.fill(cursor);
      filled = true;
      return rows;
    } catch (IOException e) {
      throw new UserError(
          "the rows of "
              + source
              + " cannot be written to a temporary file ("
              + e
              + "); free space in the folder for temporary files, or use --streaming true",
          e);
    } finally {
      if (!filled && channel != null) {
        close(channel);
      }
    }
  }

  private void fill(RowCursor cursor) throws IOException {
    OutputStream out = new BufferedOutputStream(Channels.newOutputStream(spool), 1 << 16);
    long position = 0;
    RawRow row;
    while ((row = cursor.next()) != null) {
      if (rows + 1 >= starts.length) {
        starts = Arrays.copyOf(starts, rows * 2);
        numbers = Arrays.copyOf(numbers, rows * 2);
      }
      starts[rows] = position;
      numbers[rows] = row.number();
      try {
        byte[] json = RowJson.MAPPER.writeValueAsBytes(row.columns());
        out.write(json);
        position += json.length;
      } catch (BadRow e) {
        bad.put(rows, e);
      }
      rows++;
    }
    out.flush();
    starts[rows] = position;
  }

  @Override
  public int rows() {
    return rows;
  }

  @Override
  public long number(int i) {
    return numbers[i];
  }

  @Override
  public JsonNode columns(int i) throws BadRow {
    BadRow reason = bad.get(i);
    if (reason != null) {
      throw new BadRow(reason.kind(), reason.reason());
    }
    ByteBuffer buffer = ByteBuffer.allocate(Math.toIntExact(starts[i + 1] - starts[i]));
    try {
      while (buffer.hasRemaining()) {
        if (spool.read(buffer, starts[i] + buffer.position()) < 0) {
          throw new IllegalStateException("the temporary file of " + source + " became shorter");
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException("reading the temporary file of " + source, e);
    }
    return RowJson.parse(RowJson.utf8(buffer.flip()));
  }

  @Override
  public void close() {
    close(spool);
  }

  private static void close(FileChannel channel) {
    try {
      channel.close();
    } catch (IOException e) {
      throw new UncheckedIOException("closing a temporary file", e);
    }
  }
}
