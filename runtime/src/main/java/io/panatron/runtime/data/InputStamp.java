package io.panatron.runtime.data;

import io.panatron.runtime.UserError;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.concurrent.TimeUnit;

/**
 * The state of a data file, by which a later run notices a change.
 *
 * @param bytes its size
 * @param modified when it was last changed, in nanoseconds since 1970
 * @param seen when this was noted, in nanoseconds since 1970
 * @param sha256 hash of its content
 */
record InputStamp(long bytes, long modified, long seen, String sha256) {
  /** Within this a file may change twice without a change of its time, on coarse file systems. */
  private static final long CLOCK_GRAIN = TimeUnit.SECONDS.toNanos(2);

  static InputStamp of(Path file) {
    try {
      long seen = TimeUnit.MILLISECONDS.toNanos(System.currentTimeMillis());
      return new InputStamp(Files.size(file), modified(file), seen, hash(file));
    } catch (IOException e) {
      throw unreadable(file, e);
    }
  }

  /**
   * Whether a file has still this content. Its size and time are believed, unless it was changed so
   * shortly before it was seen that the time would not show another change; then its content tells.
   */
  boolean matches(Path file) {
    try {
      if (Files.size(file) != bytes) {
        return false;
      }
      boolean settled = seen - modified > CLOCK_GRAIN;
      return settled && modified(file) == modified || hash(file).equals(sha256);
    } catch (IOException e) {
      throw unreadable(file, e);
    }
  }

  private static long modified(Path file) throws IOException {
    return Files.getLastModifiedTime(file).to(TimeUnit.NANOSECONDS);
  }

  private static String hash(Path file) throws IOException {
    MessageDigest digest = sha256Digest();
    byte[] buffer = new byte[1 << 20];
    try (InputStream in = Files.newInputStream(file)) {
      int n;
      while ((n = in.read(buffer)) > 0) {
        digest.update(buffer, 0, n);
      }
    }
    return HexFormat.of().formatHex(digest.digest());
  }

  static MessageDigest sha256Digest() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every JDK has SHA-256", e);
    }
  }

  static UserError unreadable(Path file, IOException e) {
    return new UserError(
        "the data set " + file + " cannot be read (" + e + "); check the path and its rights", e);
  }
}
