package io.panatron.runtime.checkpoint;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.panatron.runtime.UserError;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;

/**
 * The list of a checkpoint's files with size and checksums; the last file written into it, so that
 * a folder without one is known to be unfinished.
 *
 * <p>Bytes of the file: {@code {"sha256":"<64 hex digits>","body":<body>}}, the digest being that
 * of the body's bytes. The body lists each file with one CRC-32C per 16 MiB: at that length CRC-32C
 * finds every error of up to three bits and every burst of up to 32, and it runs as fast as memory
 * (about 12 GB/s a core, where SHA-256 reaches 1.3). It guards against accidents, not against
 * forgery.
 *
 * @param iteration the training iteration saved
 * @param sequence counts the checkpoints written into one run folder; the newest has the highest,
 *     also where a run went back to an earlier iteration
 * @param files every other file of the checkpoint
 */
record CheckpointManifest(long iteration, long sequence, List<Entry> files) {
  static final String FILE_NAME = "manifest.json";
  static final int FORMAT_VERSION = 1;
  private static final long MAX_BYTES = 64L << 20;
  private static final String FORMAT = "panatron-checkpoint";
  private static final String PREFIX = "{\"sha256\":\"";
  private static final String MIDDLE = "\",\"body\":";
  private static final int DIGEST_HEX = 64;

  /**
   * One file.
   *
   * @param path relative to the checkpoint's folder, with {@code /}
   * @param checksums CRC-32C of each {@link ChunkChecksums#CHUNK_BYTES} of the file
   */
  record Entry(String path, long bytes, List<Integer> checksums) {}

  CheckpointManifest {
    files = List.copyOf(files);
  }

  byte[] toBytes() {
    ObjectNode body = BoundedJson.newObject();
    body.put("format", FORMAT);
    body.put("version", FORMAT_VERSION);
    body.put("iteration", iteration);
    body.put("sequence", sequence);
    body.put("crc32c_chunk_bytes", ChunkChecksums.CHUNK_BYTES);
    ArrayNode list = body.putArray("files");
    for (Entry file : files) {
      ObjectNode entry = list.addObject();
      entry.put("path", file.path);
      entry.put("bytes", file.bytes);
      ArrayNode checksums = entry.putArray("crc32c");
      file.checksums.forEach(c -> checksums.add(HexFormat.of().toHexDigits(c)));
    }
    byte[] bytes = BoundedJson.toCompactBytes(body);
    String text = new String(bytes, StandardCharsets.UTF_8);
    return (PREFIX + sha256(bytes, 0, bytes.length) + MIDDLE + text + "}")
        .getBytes(StandardCharsets.UTF_8);
  }

  /**
   * Reads the manifest of a checkpoint's folder.
   *
   * @throws DamagedCheckpointException where it is missing, torn or changed
   * @throws UserError where a newer version of the program wrote it
   */
  static CheckpointManifest read(Path folder) throws DamagedCheckpointException {
    Path file = folder.resolve(FILE_NAME);
    byte[] bytes;
    try {
      if (Files.size(file) > MAX_BYTES) {
        throw new DamagedCheckpointException("its manifest is larger than any manifest can be");
      }
      bytes = Files.readAllBytes(file);
    } catch (IOException e) {
      throw new DamagedCheckpointException(
          "its %s cannot be read: %s".formatted(FILE_NAME, FileFailure.reason(e)));
    }
    ObjectNode body = checkedBody(bytes);
    int version = body.path("version").asInt();
    if (version > FORMAT_VERSION) {
      throw new UserError(
          "%s was written by a newer version of this program (checkpoint format %d, this one reads "
                  .formatted(folder, version)
              + "up to %d); use that version.".formatted(FORMAT_VERSION));
    }
    List<Entry> files = new ArrayList<>();
    for (JsonNode entry : body.path("files")) {
      List<Integer> checksums = new ArrayList<>();
      try {
        entry.path("crc32c").forEach(c -> checksums.add(HexFormat.fromHexDigits(c.asText())));
        Path _ = Path.of(entry.path("path").asText());
      } catch (IllegalArgumentException e) {
        throw new DamagedCheckpointException("its manifest is not one that this program writes");
      }
      files.add(new Entry(entry.path("path").asText(), entry.path("bytes").asLong(), checksums));
    }
    return new CheckpointManifest(
        body.path("iteration").asLong(), body.path("sequence").asLong(), files);
  }

  private static ObjectNode checkedBody(byte[] bytes) throws DamagedCheckpointException {
    int bodyStart = PREFIX.length() + DIGEST_HEX + MIDDLE.length();
    int bodyEnd = bytes.length - 1;
    if (bodyEnd <= bodyStart) {
      throw new DamagedCheckpointException("its manifest is cut off");
    }
    String start = new String(bytes, 0, bodyStart, StandardCharsets.ISO_8859_1);
    String digest = sha256(bytes, bodyStart, bodyEnd - bodyStart);
    if (!start.equals(PREFIX + digest + MIDDLE) || bytes[bodyEnd] != '}') {
      throw new DamagedCheckpointException("its manifest is torn or changed");
    }
    byte[] json = Arrays.copyOfRange(bytes, bodyStart, bodyEnd);
    ObjectNode body = BoundedJson.parseObject(json, FILE_NAME);
    if (!body.path("format").asText().equals(FORMAT)) {
      throw new DamagedCheckpointException("its manifest has another format");
    }
    return body;
  }

  /**
   * Reads every file and compares it with the list.
   *
   * @throws DamagedCheckpointException naming the first file that is missing, torn or changed
   */
  void verify(Path folder) throws DamagedCheckpointException {
    for (Entry entry : files) {
      Path file = folder.resolve(entry.path).normalize();
      if (!file.startsWith(folder.normalize())) {
        throw new DamagedCheckpointException("its manifest names a file outside of it");
      }
      try {
        long size = Files.size(file);
        if (size != entry.bytes) {
          throw new DamagedCheckpointException(
              "%s has %d bytes instead of %d".formatted(entry.path, size, entry.bytes));
        }
        List<Integer> checksums = ChunkChecksums.of(file);
        if (!checksums.equals(entry.checksums)) {
          throw new DamagedCheckpointException(entry.path + " has changed bytes");
        }
      } catch (IOException e) {
        throw new DamagedCheckpointException(
            "%s cannot be read: %s".formatted(entry.path, FileFailure.reason(e)));
      }
    }
  }

  private static String sha256(byte[] bytes, int offset, int length) {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      digest.update(bytes, offset, length);
      return HexFormat.of().formatHex(digest.digest());
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every JDK has SHA-256", e);
    }
  }
}
