package io.panatron.runtime.data;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.Map;
import java.util.TreeMap;

/**
 * What decides which training samples a run has and in which order, by the names of the parameters
 * that decide it; a resumed run must find it as it was. Names and times of files do not count, so
 * that data may be moved.
 */
final class DataIdentity {
  /** Bytes from each end of a file that tell it from another of its size, without reading all. */
  private static final int EDGE = 1 << 16;

  private final MessageDigest files = InputStamp.sha256Digest();

  /** Adds a data file, in order. */
  void add(Path file) {
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
      long size = channel.size();
      add(Long.toString(size));
      int edge = (int) Math.min(size, EDGE);
      add(channel, 0, edge);
      add(channel, size - edge, edge);
    } catch (IOException e) {
      throw InputStamp.unreadable(file, e);
    }
  }

  private void add(FileChannel channel, long from, int n) throws IOException {
    ByteBuffer bytes = ByteBuffer.allocate(n);
    while (bytes.hasRemaining() && channel.read(bytes, from + bytes.position()) >= 0) {}
    files.update(bytes.flip());
  }

  /** Adds a tokenized file, in order. */
  void add(TokenFile.Description made) {
    add(made.stamp().sha256());
  }

  /** Adds what columns of the next data set mean. */
  void add(ColumnNames columns) {
    add(columns.toString());
  }

  /** Ends a data set of so many drawn rows, -1 for all. */
  void end(long count) {
    add("#" + count);
  }

  private void add(String text) {
    files.update(text.getBytes(StandardCharsets.UTF_8));
    files.update((byte) 0);
  }

  /** The parts by name, after the last file. */
  Map<String, String> of(DataSettings settings, RowParser parser, String template) {
    Reading reading = settings.reading();
    Map<String, String> parts = new TreeMap<>();
    parts.put("--dataset", HexFormat.of().formatHex(files.digest()));
    parts.put("--system or --columns", hash(parser.withoutChannels()));
    parts.put("--task_type or what it draws", String.valueOf(reading.task()));
    parts.put("--template", hash(template));
    parts.put("--loss_scale", settings.lossScale().toString());
    parts.put("--max_length", String.valueOf(settings.maxLength()));
    parts.put("--truncation_strategy", settings.truncation().toString());
    parts.put("--split_dataset_ratio", String.valueOf(settings.splitDatasetRatio()));
    parts.put("--data_seed", String.valueOf(settings.dataSeed()));
    parts.put("--dataset_shuffle", String.valueOf(settings.datasetShuffle()));
    parts.put("--interleave_prob or --stopping_strategy", String.valueOf(reading.mixing()));
    parts.put("--packing or its length", String.valueOf(reading.packing()));
    parts.put("--group_by_length", String.valueOf(reading.groupByLength()));
    Streaming streaming = reading.streaming();
    if (streaming != null && settings.datasetShuffle()) {
      parts.put("--shuffle_buffer_size", String.valueOf(streaming.shuffleBuffer()));
    }
    return parts;
  }

  private static String hash(String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    return HexFormat.of().formatHex(InputStamp.sha256Digest().digest(bytes));
  }
}
