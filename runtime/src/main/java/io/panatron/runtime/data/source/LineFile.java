package io.panatron.runtime.data.source;

import com.fasterxml.jackson.databind.JsonNode;
import io.panatron.runtime.UserError;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;

/**
 * A JSONL or text file whose lines are read on demand: opening it notes where each line starts, 12
 * bytes of memory a line. Blank lines are skipped. Safe for use by several threads.
 */
final class LineFile implements RowFile {
  private static final int CHUNK = 1 << 20;

  private final Path path;
  private final FileChannel channel;
  private final boolean json;
  private long[] starts = new long[1024];
  private int[] numbers = new int[1024];
  private int lines;

  private LineFile(Path path, FileChannel channel, boolean json) {
    this.path = path;
    this.json = json;
    this.channel = channel;
  }

  static LineFile open(Path path, boolean json) {
    FileChannel channel;
    try {
      channel = FileChannel.open(path, StandardOpenOption.READ);
    } catch (IOException e) {
      throw new UserError(
          "the data set " + path + " cannot be opened (" + e + "); check the path and its rights",
          e);
    }
    LineFile file = new LineFile(path, channel, json);
    try {
      file.index();
      return file;
    } catch (IOException | RuntimeException e) {
      file.close();
      if (e instanceof RuntimeException runtime) {
        throw runtime;
      }
      throw new UserError(
          "the data set " + path + " cannot be read (" + e + "); check the disk", e);
    }
  }

  private void index() throws IOException {
    ByteBuffer buffer = ByteBuffer.allocate(CHUNK);
    byte[] bytes = buffer.array();
    long position = 0;
    long lineStart = 0;
    int number = 1;
    boolean blank = true;
    int n;
    while ((n = channel.read(buffer.clear(), position)) > 0) {
      int from = position == 0 && startsWithMark(bytes, n) ? 3 : 0;
      for (int i = from; i < n; i++) {
        byte b = bytes[i];
        if (b == '\n') {
          endLine(blank, lineStart, position + i, number);
          number++;
          lineStart = position + i + 1;
          blank = true;
        } else if (b != ' ' && b != '\t' && b != '\r') {
          blank = false;
        }
      }
      position += n;
    }
    endLine(blank, lineStart, position, number);
    starts = Arrays.copyOf(starts, lines + 1);
    numbers = Arrays.copyOf(numbers, lines);
    starts[lines] = position;
  }

  static String tooLong(Path path, long number, String bytes) {
    return path
        + ":"
        + number
        + " is a line of "
        + bytes
        + " bytes, more than the "
        + RowJson.MAX_ROW_BYTES
        + " that a row may have; such a file holds one row per line";
  }

  static boolean startsWithMark(byte[] bytes, int n) {
    return n >= 3 && bytes[0] == (byte) 0xef && bytes[1] == (byte) 0xbb && bytes[2] == (byte) 0xbf;
  }

  private void endLine(boolean blank, long start, long end, int number) {
    if (blank) {
      return;
    }
    if (end - start > RowJson.MAX_ROW_BYTES) {
      throw new UserError(tooLong(path, number, String.valueOf(end - start)));
    }
    if (lines + 1 >= starts.length) {
      starts = Arrays.copyOf(starts, lines * 2);
      numbers = Arrays.copyOf(numbers, lines * 2);
    }
    starts[lines] = start;
    numbers[lines] = number;
    lines++;
  }

  @Override
  public int rows() {
    return lines;
  }

  @Override
  public long number(int i) {
    return numbers[i];
  }

  @Override
  public JsonNode columns(int i) throws BadRow {
    String line = line(i);
    if (json) {
      return RowJson.parse(line);
    }
    int end = line.indexOf('\n');
    String text = end < 0 ? line : line.substring(0, end);
    return RowJson.text(text.endsWith("\r") ? text.substring(0, text.length() - 1) : text);
  }

  /** The i-th line that is not blank, maybe with line ends and blank lines after it. */
  private String line(int i) throws BadRow {
    // Blank lines in between belong to the line before them; JSON ignores the white space.
    long end = starts[i + 1];
    ByteBuffer buffer =
        ByteBuffer.allocate((int) Math.min(end - starts[i], RowJson.MAX_ROW_BYTES + 1L));
    try {
      while (buffer.hasRemaining()) {
        if (channel.read(buffer, starts[i] + buffer.position()) < 0) {
          throw new UserError(
              path
                  + ":"
                  + numbers[i]
                  + " is gone: the file became shorter during the run; leave it unchanged");
        }
      }
    } catch (IOException e) {
      throw new UserError(
          path + ":" + numbers[i] + " cannot be read (" + e + "); check the disk", e);
    }
    buffer.flip();
    if (starts[i] == 0 && startsWithMark(buffer.array(), buffer.limit())) {
      buffer.position(3);
    }
    return RowJson.utf8(buffer);
  }

  @Override
  public void close() {
    try {
      channel.close();
    } catch (IOException e) {
      throw new java.io.UncheckedIOException("closing " + path, e);
    }
  }
}
