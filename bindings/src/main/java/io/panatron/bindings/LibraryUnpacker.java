package io.panatron.bindings;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileTime;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.time.Instant;
import java.util.HexFormat;
import java.util.UUID;

/**
 * Writes libraries from the class path into one folder, whole or not at all.
 *
 * <p>A library is written under a temporary name, its digest compared, flushed to disk, and
 * renamed. Before the rename its modification time is set to {@link #VERIFIED}: a file of the right
 * size that carries this time has been compared and not been written to since, and costs one {@code
 * stat} at the next start. Anything else is compared in full, and replaced where it differs.
 * Replacing does not disturb a process that has the old file mapped.
 */
final class LibraryUnpacker {
  /**
   * Stamp of a compared file. The second is even and without a fraction: every file system can
   * store it.
   */
  static final FileTime VERIFIED = FileTime.from(Instant.parse("2001-01-01T00:00:00Z"));

  private static final String TEMPORARY_SUFFIX = ".tmp";
  // A process that was killed while unpacking leaves its temporary file; nobody unpacks for this
  // long.
  private static final Duration ABANDONED = Duration.ofHours(1);
  private static final int CHUNK_BYTES = 1 << 16;

  private final Path folder;
  private final ClassLoader resources;

  LibraryUnpacker(Path folder, ClassLoader resources) {
    this.folder = folder;
    this.resources = resources;
  }

  /**
   * Makes sure that the folder holds this library.
   *
   * @throws IOException where it does not and the folder cannot be written
   * @throws NativeLibraryException where the class path lacks the library or holds other bytes
   */
  void provide(LibraryFile file) throws IOException {
    Path target = folder.resolve(file.name());
    if (isVerified(target, file)) {
      return;
    }
    if (isIntact(target, file)) {
      stamp(target);
      return;
    }
    Files.createDirectories(folder);
    removeAbandoned(file);
    Path temporary = folder.resolve(file.name() + "." + UUID.randomUUID() + TEMPORARY_SUFFIX);
    try {
      write(file, temporary);
      Files.setLastModifiedTime(temporary, VERIFIED);
      Files.move(temporary, target, StandardCopyOption.ATOMIC_MOVE);
    } finally {
      Files.deleteIfExists(temporary);
    }
  }

  private static boolean isVerified(Path target, LibraryFile file) throws IOException {
    try {
      BasicFileAttributes found = Files.readAttributes(target, BasicFileAttributes.class);
      return found.size() == file.bytes() && found.lastModifiedTime().equals(VERIFIED);
    } catch (NoSuchFileException e) {
      return false;
    }
  }

  private static boolean isIntact(Path target, LibraryFile file) throws IOException {
    if (!Files.isRegularFile(target) || Files.size(target) != file.bytes()) {
      return false;
    }
    try (InputStream in = Files.newInputStream(target)) {
      MessageDigest digest = sha256();
      byte[] chunk = new byte[CHUNK_BYTES];
      for (int n = in.read(chunk); n > 0; n = in.read(chunk)) {
        digest.update(chunk, 0, n);
      }
      return HexFormat.of().formatHex(digest.digest()).equals(file.sha256());
    }
  }

  private static void stamp(Path target) {
    try {
      Files.setLastModifiedTime(target, VERIFIED);
    } catch (IOException e) {
      // A cache that others own or that is read-only: right, but compared in full at every start.
      System.getLogger(LibraryUnpacker.class.getName())
          .log(System.Logger.Level.DEBUG, "cannot mark {0} as compared: {1}", target, e);
    }
  }

  private void write(LibraryFile file, Path temporary) throws IOException {
    MessageDigest digest = sha256();
    long bytes = 0;
    try (InputStream in = resources.getResourceAsStream(file.resource());
        FileChannel out =
            FileChannel.open(temporary, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
      if (in == null) {
        throw new NativeLibraryException(
            "%s is not on the class path; the jar is incomplete, so build it again"
                .formatted(file.resource()),
            null);
      }
      byte[] chunk = new byte[CHUNK_BYTES];
      for (int n = in.read(chunk); n > 0; n = in.read(chunk)) {
        digest.update(chunk, 0, n);
        bytes += n;
        for (ByteBuffer rest = ByteBuffer.wrap(chunk, 0, n); rest.hasRemaining(); ) {
          out.write(rest);
        }
      }
      out.force(true);
    }
    String found = HexFormat.of().formatHex(digest.digest());
    if (bytes != file.bytes() || !found.equals(file.sha256())) {
      throw new NativeLibraryException(
          ("%s on the class path has %d bytes with SHA-256 %s, "
                  + "not %d bytes with %s; "
                  + "the jar is damaged or of another version, so build it again")
              .formatted(file.resource(), bytes, found, file.bytes(), file.sha256()),
          null);
    }
  }

  private void removeAbandoned(LibraryFile file) throws IOException {
    FileTime limit = FileTime.from(Instant.now().minus(ABANDONED));
    try (DirectoryStream<Path> left =
        Files.newDirectoryStream(folder, file.name() + ".*" + TEMPORARY_SUFFIX)) {
      for (Path path : left) {
        // A stamped file is about to be renamed by its writer.
        FileTime written = Files.getLastModifiedTime(path);
        if (!written.equals(VERIFIED) && written.compareTo(limit) < 0) {
          Files.deleteIfExists(path);
        }
      }
    } catch (NoSuchFileException e) {
      // Another process removed or renamed it between the listing and the look: nothing is left to
      // do.
      return;
    }
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError("every Java platform has SHA-256", e);
    }
  }
}
