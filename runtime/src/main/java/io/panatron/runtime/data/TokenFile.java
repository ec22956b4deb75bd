package io.panatron.runtime.data;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.panatron.runtime.UserError;
import io.panatron.runtime.data.source.BadRow;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/**
 * Tokenized rows on disk, mapped into memory: opening costs nothing for each row.
 *
 * <p>Little endian. Records, one for each row: for a sample the number of stretches of equal
 * weight, then weight (float) and tokens of each, then the token ids, then the channel in UTF-8
 * where channels are kept, or for labelled sequences their number, and of each its tokens, role,
 * number of labels (int each) and labels (double); for a bad row its kind, the bytes of its reason,
 * and the reason in UTF-8. After the records the index, {@link #ENTRY} bytes for each row: offset
 * (long), number of the row (long), tokens or -1 for a bad row (int), checksum of the record (int).
 * Then {@link Description} as JSON, and the trailer of {@link #TRAILER} bytes: offset of the index
 * (long), rows (int), bytes of the description (int), checksum of both (int), version (int), {@link
 * #MAGIC} (long).
 */
final class TokenFile implements SampleFile {
  static final String EXTENSION = ".tokens";
  static final long MAGIC = 0x314b4f544e415021L;
  static final int VERSION = 1;
  static final int ENTRY = 24;
  static final int TRAILER = 32;

  static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  static final ValueLayout.OfLong LONG =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  /**
   * What a file was made of.
   *
   * @param source the data file
   * @param stamp its state when it was read
   * @param encoder identity of tokenizer, template and loss weights
   * @param parser identity of what turned columns into conversations
   */
  record Description(String source, InputStamp stamp, String encoder, String parser) {
    byte[] toJson() {
      return new ObjectMapper()
          .createObjectNode()
          .put("source", source)
          .put("bytes", stamp.bytes())
          .put("modified", stamp.modified())
          .put("seen", stamp.seen())
          .put("sha256", stamp.sha256())
          .put("encoder", encoder)
          .put("parser", parser)
          .toString()
          .getBytes(StandardCharsets.UTF_8);
    }

    private static Description fromJson(byte[] json) throws IOException {
      JsonNode node = new ObjectMapper().readTree(json);
      return new Description(
          node.path("source").asText(),
          new InputStamp(
              node.path("bytes").asLong(),
              node.path("modified").asLong(),
              node.path("seen").asLong(),
              node.path("sha256").asText()),
          node.path("encoder").asText(),
          node.path("parser").asText());
    }
  }

  private final Path path;
  private final Arena arena;
  private final MemorySegment bytes;
  private final long index;
  private final int rows;
  private final Description description;
  private final boolean channels;
  private final boolean task;

  private TokenFile(
      Path path,
      Arena arena,
      MemorySegment bytes,
      long index,
      int rows,
      Description description,
      boolean channels) {
    this.path = path;
    this.arena = arena;
    this.bytes = bytes;
    this.index = index;
    this.rows = rows;
    this.description = description;
    this.channels = channels && RowParser.readsChannels(description.parser());
    this.task = RowParser.readsTask(description.parser());
  }

  /** Opens a file whose channels are wanted where it has some. */
  @SuppressWarnings("MustBeClosedChecker") // the caller gets the file
  static @Nullable TokenFile open(Path path) {
    return open(path, true);
  }

  /**
   * Opens a file, or returns null if it is none, is of another version, or was cut or changed.
   *
   * @param channels whether samples have the channels that the file keeps, if it does
   */
  @SuppressWarnings(
      "MustBeClosedChecker") // the arena belongs to the returned file, which closes it
  static @Nullable TokenFile open(Path path, boolean channels) {
    Arena arena = Arena.ofShared();
    TokenFile file = null;
    try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
      if (channel.size() >= TRAILER) {
        file =
            of(
                path,
                arena,
                channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena),
                channels);
      }
      return file;
    } catch (IOException e) {
      throw new UserError(
          "the tokenized data " + path + " cannot be read (" + e + "); check the path", e);
    } finally {
      if (file == null) {
        arena.close();
      }
    }
  }

  private static @Nullable TokenFile of(
      Path path, Arena arena, MemorySegment bytes, boolean channels) {
    long trailer = bytes.byteSize() - TRAILER;
    if (bytes.get(LONG, trailer + 24) != MAGIC || bytes.get(INT, trailer + 20) != VERSION) {
      return null;
    }
    long index = bytes.get(LONG, trailer);
    int rows = bytes.get(INT, trailer + 8);
    int described = bytes.get(INT, trailer + 12);
    if (index < 0
        || rows < 0
        || described < 0
        || index > trailer
        || trailer - index != (long) rows * ENTRY + described
        || checksum(bytes.asSlice(index, trailer - index)) != bytes.get(INT, trailer + 16)) {
      return null;
    }
    byte[] json =
        bytes.asSlice(index + (long) rows * ENTRY, described).toArray(ValueLayout.JAVA_BYTE);
    try {
      return new TokenFile(path, arena, bytes, index, rows, Description.fromJson(json), channels);
    } catch (IOException e) {
      return null;
    }
  }

  static int checksum(MemorySegment bytes) {
    CRC32C crc = new CRC32C();
    long at = 0;
    while (at < bytes.byteSize()) {
      long n = Math.min(bytes.byteSize() - at, 1 << 30);
      crc.update(bytes.asSlice(at, n).asByteBuffer());
      at += n;
    }
    return (int) crc.getValue();
  }

  Description description() {
    return description;
  }

  @Override
  public int rows() {
    return rows;
  }

  private long entry(int row) {
    return index + (long) row * ENTRY;
  }

  @Override
  public Path source() {
    return Path.of(description.source());
  }

  @Override
  public long number(int row) {
    return bytes.get(LONG, entry(row) + 8);
  }

  /** The record of a row, once its checksum has been seen to be right. */
  private MemorySegment record(int row) {
    long from = bytes.get(LONG, entry(row));
    long to = row + 1 == rows ? index : bytes.get(LONG, entry(row + 1));
    MemorySegment record = bytes.asSlice(from, to - from);
    if (checksum(record) != bytes.get(INT, entry(row) + 20)) {
      throw new UserError(
          "the tokenized data "
              + path
              + " are damaged at row "
              + (row + 1)
              + "; delete the file, so that it is made again");
    }
    return record;
  }

  @Override
  public @Nullable BadRow problem(int row) {
    if (tokens(row) >= 0) {
      return null;
    }
    MemorySegment record = record(row);
    byte[] reason = record.asSlice(8, record.get(INT, 4)).toArray(ValueLayout.JAVA_BYTE);
    return new BadRow(
        BadRow.Kind.values()[record.get(INT, 0)], new String(reason, StandardCharsets.UTF_8));
  }

  private int tokens(int row) {
    return bytes.get(INT, entry(row) + 16);
  }

  @Override
  public int lengthOver(int row, int limit) {
    int tokens = tokens(row);
    return task && tokens > limit ? sample(row).longest() : tokens;
  }

  @Override
  public int length(int row) {
    return tokens(row);
  }

  @Override
  public EncodedSample sample(int row) {
    MemorySegment record = record(row);
    int stretches = record.get(INT, 0);
    int[] ids = new int[tokens(row)];
    float[] weights = new float[ids.length];
    long at = 4;
    int n = 0;
    for (int s = 0; s < stretches; s++, at += 8) {
      int length = record.get(INT, at + 4);
      java.util.Arrays.fill(weights, n, n + length, Float.intBitsToFloat(record.get(INT, at)));
      n += length;
    }
    MemorySegment.copy(record, INT, at, ids, 0, ids.length);
    at += 4L * ids.length;
    return new EncodedSample(
        ids, weights, channels ? channel(record, at) : null, task ? parts(record, at) : null);
  }

  private static SampleParts parts(MemorySegment record, long start) {
    int[] lengths = new int[record.get(INT, start)];
    List<SequenceTag> tags = new ArrayList<>(lengths.length);
    long at = start + 4;
    for (int s = 0; s < lengths.length; s++) {
      lengths[s] = record.get(INT, at);
      SequenceRole role = SequenceRole.values()[record.get(INT, at + 4)];
      int count = record.get(INT, at + 8);
      at += 12;
      List<Double> labels = new ArrayList<>(count);
      for (int i = 0; i < count; i++, at += 8) {
        labels.add(Double.longBitsToDouble(record.get(LONG, at)));
      }
      tags.add(new SequenceTag(role, labels));
    }
    return new SampleParts(lengths, tags);
  }

  private static String channel(MemorySegment record, long at) {
    return new String(record.asSlice(at).toArray(ValueLayout.JAVA_BYTE), StandardCharsets.UTF_8);
  }

  @Override
  public void close() {
    arena.close();
  }
}
