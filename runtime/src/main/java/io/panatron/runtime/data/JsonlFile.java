package io.panatron.runtime.data;

import io.panatron.runtime.UserError;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;

/**
 * A JSONL file whose lines are read on demand: opening it notes where each line starts, 12 bytes of
 * memory a line. Blank lines are skipped. Safe for use by several threads.
 */
final class JsonlFile implements AutoCloseable {
  /** Longer lines are refused: they are a wrong file rather than a training row. */
  static final int MAX_LINE_BYTES = 64 << 20;

  private static final int CHUNK = 1 << 20;

  private final Path path;
  private final FileChannel channel;
  private long[] starts = new long[1024];
  private int[] numbers = new int[1024];
  private int lines;

  private JsonlFile(Path path, FileChannel channel) {
    this.path = path;
    this.channel = channel;
  }

  static JsonlFile open(Path path) {
    FileChannel channel;
    try {
      channel = FileChannel.open(path, StandardOpenOption.READ);
    } catch (IOException e) {
      throw new UserError(
          "the data set " + path + " cannot be opened (" + e + "); check the path and its rights",
          e);
    }
    JsonlFile file = new JsonlFile(path, channel);
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

  private static boolean startsWithMark(byte[] bytes, int n) {
    return n >= 3 && bytes[0] == (byte) 0xef && bytes[1] == (byte) 0xbb && bytes[2] == (byte) 0xbf;
  }

  private void endLine(boolean blank, long start, long end, int number) {
    if (blank) {
      return;
    }
    if (end - start > MAX_LINE_BYTES) {
      throw new UserError(
          path
              + ":"
              + number
              + " is a line of "
              + (end - start)
              + " bytes, more than the "
              + MAX_LINE_BYTES
              + " that a row may have; a JSONL file holds one row per line");
    }
    if (lines + 1 >= starts.length) {
      starts = Arrays.copyOf(starts, lines * 2);
      numbers = Arrays.copyOf(numbers, lines * 2);
    }
    starts[lines] = start;
    numbers[lines] = number;
    lines++;
  }

  int lines() {
    return lines;
  }

  /** {@code file:line} of the i-th line that is not blank. */
  String location(int i) {
    return path + ":" + numbers[i];
  }

  /**
   * The i-th line that is not blank, maybe with line ends and blank lines after it.
   *
   * @throws CharacterCodingException if it is not UTF-8
   */
  String line(int i) throws CharacterCodingException {
    // Blank lines in between belong to the line before them; JSON ignores the white space.
    long end = starts[i + 1];
    ByteBuffer buffer = ByteBuffer.allocate((int) Math.min(end - starts[i], MAX_LINE_BYTES + 1L));
    try {
      while (buffer.hasRemaining()) {
        if (channel.read(buffer, starts[i] + buffer.position()) < 0) {
          throw new UserError(
              location(i) + " is gone: the file became shorter during the run; leave it unchanged");
        }
      }
    } catch (IOException e) {
      throw new UserError(location(i) + " cannot be read (" + e + "); check the disk", e);
    }
    buffer.flip();
    if (starts[i] == 0 && startsWithMark(buffer.array(), buffer.limit())) {
      buffer.position(3);
    }
    return StandardCharsets.UTF_8.newDecoder().decode(buffer).toString();
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
