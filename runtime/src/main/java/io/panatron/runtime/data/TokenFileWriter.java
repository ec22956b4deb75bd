package io.panatron.runtime.data;

import io.panatron.runtime.data.source.BadRow;
import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/** Writes a {@link TokenFile} row by row. Not for several threads at once. */
final class TokenFileWriter implements Closeable {
  private final FileChannel channel;
  private ByteBuffer buffer = ByteBuffer.allocate(1 << 20).order(ByteOrder.LITTLE_ENDIAN);
  private long position;
  private ByteBuffer index =
      ByteBuffer.allocate(1024 * TokenFile.ENTRY).order(ByteOrder.LITTLE_ENDIAN);
  private int rows;

  TokenFileWriter(Path file) throws IOException {
    channel =
        FileChannel.open(
            file,
            StandardOpenOption.CREATE,
            StandardOpenOption.TRUNCATE_EXISTING,
            StandardOpenOption.WRITE);
  }

  void add(long number, EncodedSample sample) throws IOException {
    float[] weights = sample.weights();
    int stretches = 0;
    for (int i = 0; i < weights.length; i++) {
      if (i == 0 || weights[i] != weights[i - 1]) {
        stretches++;
      }
    }
    byte[] name =
        sample.channel() == null ? new byte[0] : sample.channel().getBytes(StandardCharsets.UTF_8);
    SampleParts parts = sample.parts();
    int start = reserve(4 * (1 + 2 * stretches + weights.length) + name.length + bytes(parts));
    buffer.putInt(stretches);
    for (int i = 0; i < weights.length; ) {
      int end = i + 1;
      while (end < weights.length && weights[end] == weights[i]) {
        end++;
      }
      buffer.putInt(Float.floatToRawIntBits(weights[i])).putInt(end - i);
      i = end;
    }
    for (int id : sample.ids()) {
      buffer.putInt(id);
    }
    buffer.put(name);
    if (parts != null) {
      put(parts);
    }
    endRecord(start, number, weights.length);
  }

  private static int bytes(@Nullable SampleParts parts) {
    return parts == null
        ? 0
        : 4 + parts.tags().stream().mapToInt(tag -> 12 + 8 * tag.labels().size()).sum();
  }

  private void put(SampleParts parts) {
    buffer.putInt(parts.lengths().length);
    for (int s = 0; s < parts.lengths().length; s++) {
      SequenceTag tag = parts.tags().get(s);
      buffer.putInt(parts.lengths()[s]).putInt(tag.role().ordinal()).putInt(tag.labels().size());
      for (double label : tag.labels()) {
        buffer.putLong(Double.doubleToRawLongBits(label));
      }
    }
  }

  void add(long number, BadRow bad) throws IOException {
    byte[] reason = bad.reason().getBytes(StandardCharsets.UTF_8);
    int start = reserve(8 + reason.length);
    buffer.putInt(bad.kind().ordinal()).putInt(reason.length).put(reason);
    endRecord(start, number, -1);
  }

  /** Makes room in the buffer and returns where the record starts in it. */
  private int reserve(int bytes) throws IOException {
    if (buffer.remaining() < bytes) {
      flush();
      if (buffer.capacity() < bytes) {
        buffer = ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
      }
    }
    return buffer.position();
  }

  private void endRecord(int start, long number, int tokens) {
    CRC32C crc = new CRC32C();
    crc.update(buffer.array(), start, buffer.position() - start);
    if (index.remaining() < TokenFile.ENTRY) {
      byte[] grown = Arrays.copyOf(index.array(), Math.multiplyExact(index.capacity(), 2));
      index = ByteBuffer.wrap(grown).order(ByteOrder.LITTLE_ENDIAN).position(index.position());
    }
    index.putLong(position + start).putLong(number).putInt(tokens).putInt((int) crc.getValue());
    rows++;
  }

  private void flush() throws IOException {
    buffer.flip();
    position += buffer.remaining();
    while (buffer.hasRemaining()) {
      channel.write(buffer);
    }
    buffer.clear();
  }

  /** Writes what follows the rows and brings all to the disk. */
  void finish(TokenFile.Description description) throws IOException {
    flush();
    long start = position;
    byte[] json = description.toJson();
    CRC32C crc = new CRC32C();
    crc.update(index.array(), 0, index.position());
    crc.update(json);
    index.flip();
    while (index.hasRemaining()) {
      channel.write(index);
    }
    ByteBuffer end =
        ByteBuffer.allocate(json.length + TokenFile.TRAILER)
            .order(ByteOrder.LITTLE_ENDIAN)
            .put(json)
            .putLong(start)
            .putInt(rows)
            .putInt(json.length)
            .putInt((int) crc.getValue())
            .putInt(TokenFile.VERSION)
            .putLong(TokenFile.MAGIC)
            .flip();
    while (end.hasRemaining()) {
      channel.write(end);
    }
    channel.force(true);
  }

  @Override
  public void close() throws IOException {
    channel.close();
  }
}
