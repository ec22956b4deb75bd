package io.panatron.runtime.checkpoint;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.jspecify.annotations.Nullable;

/**
 * A file written past the page cache ({@code O_DIRECT}): the disk fetches the bytes itself, which
 * leaves the processor to the training steps that go on meanwhile. What does not fill a block at
 * the end is written the usual way.
 *
 * <p>For one thread.
 */
final class DirectOutput implements CheckpointFiles.Output {
  /** Stays in the second-level cache between the copy and the disk's fetch. */
  private static final int STAGING_BYTES = 1 << 20;

  private final Path file;
  private final FileChannel channel;
  private final Arena arena;
  private final ByteBuffer staging;
  private long written;

  private DirectOutput(Path file, FileChannel channel, Arena arena, long alignment) {
    this.file = file;
    this.channel = channel;
    this.arena = arena;
    this.staging = arena.allocate(STAGING_BYTES, alignment).asByteBuffer();
  }

  /**
   * Creates a new file.
   *
   * @return null where the file system cannot do it; no file is left then
   * @throws IOException where the file exists
   */
  @SuppressWarnings("MustBeClosedChecker") // channel and arena are the output's
  static @Nullable DirectOutput create(Path file) throws IOException {
    if (Files.exists(file)) {
      throw new FileAlreadyExistsException(file.toString());
    }
    OpenOption direct = direct();
    if (direct == null) {
      return null;
    }
    FileChannel channel;
    long block;
    try {
      channel =
          FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE, direct);
      block = Files.getFileStore(file).getBlockSize();
    } catch (IOException | UnsupportedOperationException e) {
      // Linux creates the file before it refuses the flag. Any other trouble meets the usual way
      // of writing again, which reports it.
      Files.deleteIfExists(file);
      return null;
    }
    if (STAGING_BYTES % block != 0) {
      channel.close();
      Files.delete(file);
      return null;
    }
    return new DirectOutput(file, channel, Arena.ofConfined(), block);
  }

  /** By name, since javac warns of each mention of this supported type of the JDK. */
  private static @Nullable OpenOption direct() {
    try {
      for (Object option :
          Class.forName("com.sun.nio.file.ExtendedOpenOption").getEnumConstants()) {
        if (option instanceof OpenOption open && option.toString().equals("DIRECT")) {
          return open;
        }
      }
      return null;
    } catch (ClassNotFoundException e) {
      return null;
    }
  }

  @Override
  public int write(ByteBuffer source) throws IOException {
    int count = Math.min(source.remaining(), staging.remaining());
    staging.put(source.slice(source.position(), count));
    source.position(source.position() + count);
    if (!staging.hasRemaining()) {
      flush(channel);
    }
    return count;
  }

  private void flush(FileChannel target) throws IOException {
    staging.flip();
    while (staging.hasRemaining()) {
      written += target.write(staging, written);
    }
    staging.clear();
  }

  /** Ends the file: nothing may be written after this. */
  @Override
  public void force() throws IOException {
    if (staging.position() > 0) {
      try (FileChannel tail = FileChannel.open(file, StandardOpenOption.WRITE)) {
        flush(tail);
        tail.force(true);
      }
    }
    channel.force(true);
  }

  @Override
  public boolean isOpen() {
    return channel.isOpen();
  }

  @Override
  public void close() throws IOException {
    if (channel.isOpen()) {
      arena.close();
      channel.close();
    }
  }
}
