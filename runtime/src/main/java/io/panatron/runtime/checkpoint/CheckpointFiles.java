package io.panatron.runtime.checkpoint;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Every change a checkpoint makes on the disk goes through here, one method per system call, so
 * that a test can end the writer before any of them.
 */
interface CheckpointFiles {
  /** The real file system. */
  CheckpointFiles SYSTEM = new SystemFiles();

  /** A file being written. */
  interface Output extends WritableByteChannel {
    /** Returns when the bytes written so far are on the disk. */
    void force() throws IOException;
  }

  void createDirectory(Path folder) throws IOException;

  /** Opens a new file; fails where it exists. */
  Output create(Path file) throws IOException;

  /**
   * As {@link #create}, for a large file that is written while training goes on: at the least cost
   * for the processor rather than in the least time. It ends with {@link Output#force}.
   */
  default Output createBesideTraining(Path file) throws IOException {
    return create(file);
  }

  /** Renames atomically; a file at {@code to} is replaced, a folder there is an error. */
  void rename(Path from, Path to) throws IOException;

  /** Returns when creations, renames and deletions in this folder are on the disk. */
  void forceDirectory(Path folder) throws IOException;

  /** Deletes a file or an empty folder. */
  void delete(Path path) throws IOException;

  /** Deletes a folder and all that is in it, without following links. */
  default void deleteTree(Path folder) throws IOException {
    Files.walkFileTree(
        folder,
        new SimpleFileVisitor<>() {
          @Override
          public FileVisitResult visitFile(Path file, BasicFileAttributes attributes)
              throws IOException {
            delete(file);
            return FileVisitResult.CONTINUE;
          }

          @Override
          public FileVisitResult postVisitDirectory(Path directory, @Nullable IOException failure)
              throws IOException {
            if (failure != null) {
              throw failure;
            }
            delete(directory);
            return FileVisitResult.CONTINUE;
          }
        });
  }

  /** Writes a small file beside {@code file}, flushes it, and renames it over {@code file}. */
  default void replaceFile(Path file, byte[] content) throws IOException {
    Path folder = Objects.requireNonNull(file.getParent(), "a file in a folder");
    Path temporary = temporary(file);
    if (Files.exists(temporary)) {
      delete(temporary);
    }
    try (Output out = create(temporary)) {
      writeFully(out, content);
      out.force();
    }
    rename(temporary, file);
    forceDirectory(folder);
  }

  /** Where {@link #replaceFile} writes what is to replace {@code file}. */
  static Path temporary(Path file) {
    return file.resolveSibling("." + file.getFileName() + ".tmp");
  }

  /** Writes all bytes, however many calls that takes. */
  static void writeFully(WritableByteChannel out, byte[] content) throws IOException {
    ByteBuffer buffer = ByteBuffer.wrap(content);
    while (buffer.hasRemaining()) {
      out.write(buffer);
    }
  }

  /** The implementation on {@link java.nio.file.Files}. */
  final class SystemFiles implements CheckpointFiles {
    private SystemFiles() {}

    @Override
    public void createDirectory(Path folder) throws IOException {
      Files.createDirectory(folder);
    }

    @Override
    public Output create(Path file) throws IOException {
      FileChannel channel =
          FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
      return new Output() {
        @Override
        public int write(ByteBuffer source) throws IOException {
          return channel.write(source);
        }

        @Override
        public void force() throws IOException {
          channel.force(true);
        }

        @Override
        public boolean isOpen() {
          return channel.isOpen();
        }

        @Override
        public void close() throws IOException {
          channel.close();
        }
      };
    }

    @Override
    public Output createBesideTraining(Path file) throws IOException {
      Output direct = DirectOutput.create(file);
      return direct == null ? create(file) : direct;
    }

    @Override
    public void rename(Path from, Path to) throws IOException {
      Files.move(from, to, StandardCopyOption.ATOMIC_MOVE);
    }

    @Override
    public void forceDirectory(Path folder) throws IOException {
      try (FileChannel channel = FileChannel.open(folder, StandardOpenOption.READ)) {
        channel.force(true);
      }
    }

    @Override
    public void delete(Path path) throws IOException {
      Files.delete(path);
    }
  }
}
