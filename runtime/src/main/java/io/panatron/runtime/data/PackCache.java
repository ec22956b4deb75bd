package io.panatron.runtime.data;

import io.panatron.runtime.UserError;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/**
 * Keeps packs beside the tokens that they were made of, for later runs with the same samples in the
 * same order. A file that is damaged is made again.
 *
 * <p>Big endian: number of packs, their starts, the samples, and a checksum of these, all ints.
 */
final class PackCache {
  static final String EXTENSION = ".packs";

  private PackCache() {}

  /**
   * The packs of samples; see {@link PackPlan#of}.
   *
   * @param folder where packs are kept; null for nowhere
   */
  static PackPlan plan(@Nullable Path folder, int[] lengths, int capacity, int parts) {
    if (folder == null) {
      return PackPlan.of(lengths, capacity, parts);
    }
    Path file = folder.resolve(name(lengths, capacity, parts));
    try {
      PackPlan kept = Files.exists(file) ? read(Files.readAllBytes(file), lengths.length) : null;
      if (kept != null) {
        return kept;
      }
      PackPlan plan = PackPlan.of(lengths, capacity, parts);
      Files.createDirectories(folder);
      Path fresh = TokenCache.unfinished(folder);
      try {
        Files.write(fresh, bytes(plan));
        Files.move(fresh, file, StandardCopyOption.ATOMIC_MOVE);
      } finally {
        Files.deleteIfExists(fresh);
      }
      return plan;
    } catch (IOException e) {
      throw new UserError(
          "the packs of samples cannot be kept in "
              + folder
              + " ("
              + e
              + "); free space, or choose another --token_cache",
          e);
    }
  }

  private static String name(int[] lengths, int capacity, int parts) {
    MessageDigest digest = InputStamp.sha256Digest();
    ByteBuffer bytes = ByteBuffer.allocate(4 * (lengths.length + 3));
    bytes.putInt(PackPlan.WINDOW).putInt(capacity).putInt(parts);
    bytes.asIntBuffer().put(lengths);
    digest.update(bytes.array());
    return "samples-" + HexFormat.of().formatHex(digest.digest(), 0, 16) + EXTENSION;
  }

  private static byte[] bytes(PackPlan plan) {
    int ints = 1 + plan.starts().length + plan.samples().length;
    ByteBuffer bytes = ByteBuffer.allocate(4 * (ints + 1));
    bytes.asIntBuffer().put(plan.packs()).put(plan.starts()).put(plan.samples());
    bytes.putInt(4 * ints, checksum(bytes.array()));
    return bytes.array();
  }

  /** All but the last four bytes. */
  private static int checksum(byte[] bytes) {
    CRC32C crc = new CRC32C();
    crc.update(bytes, 0, bytes.length - 4);
    return (int) crc.getValue();
  }

  private static @Nullable PackPlan read(byte[] bytes, int samples) {
    ByteBuffer ints = ByteBuffer.wrap(bytes);
    if (bytes.length < 4 * (samples + 3)
        || ints.getInt(bytes.length - 4) != checksum(bytes)
        || bytes.length != 4L * (ints.getInt() + 3L + samples)) {
      return null;
    }
    int[] starts = new int[ints.getInt(0) + 1];
    int[] packed = new int[samples];
    ints.asIntBuffer().get(starts).get(packed);
    return new PackPlan(packed, starts);
  }
}
