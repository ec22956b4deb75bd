package io.panatron.runtime.observe;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.panatron.runtime.UserError;
import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SeekableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Map;

/** {@code logging.jsonl}: one JSON object a line, flushed as it is written. */
public final class RunLog implements AutoCloseable {
  private final ObjectMapper json = new ObjectMapper();
  private final Path file;
  private final BufferedWriter writer;

  /**
   * Appends to the file, which a resumed run without version folders shares with its past. What a
   * killed run left of a row stays a line of its own.
   */
  public RunLog(Path file) {
    this.file = file;
    try {
      boolean torn = endsWithinLine(file);
      writer =
          Files.newBufferedWriter(
              file, StandardCharsets.UTF_8, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
      if (torn) {
        writer.write('\n');
      }
    } catch (IOException e) {
      throw failure(e);
    }
  }

  private static boolean endsWithinLine(Path file) throws IOException {
    if (!Files.isRegularFile(file)) {
      return false;
    }
    try (SeekableByteChannel channel = Files.newByteChannel(file)) {
      ByteBuffer last = ByteBuffer.allocate(1);
      return channel.size() > 0
          && channel.position(channel.size() - 1).read(last) == 1
          && last.get(0) != '\n';
    }
  }

  /** Values print with all digits that distinguish them, so that equal logs mean equal runs. */
  public void write(Map<String, ?> row) {
    try {
      writer.write(json.writeValueAsString(row));
      writer.write('\n');
      writer.flush();
    } catch (IOException e) {
      throw failure(e);
    }
  }

  @Override
  public void close() {
    try {
      writer.close();
    } catch (IOException e) {
      throw failure(e);
    }
  }

  private UserError failure(IOException cause) {
    return new UserError(
        "cannot write "
            + file
            + " ("
            + cause.getMessage()
            + "); free space or choose another --save",
        cause);
  }
}
