package io.panatron.runtime.checkpoint;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A disk that stops: either the process dies before its k-th operation, or no bytes are left. It
 * remembers what was not flushed, so that a loss of power can be played as well.
 */
final class FaultyFiles implements CheckpointFiles {
  /** The process is dead: nothing it does afterwards happens. */
  static final class Crash extends Error {
    private static final long serialVersionUID = 1L;

    Crash() {
      super("crash injected by the test");
    }
  }

  /** A creation or a rename whose folder was not flushed yet. */
  private record Pending(Path entry, @Nullable Path renamedFrom, byte @Nullable [] replaced) {}

  private final Set<Path> unforcedFiles = new HashSet<>();
  private final List<Pending> pending = new ArrayList<>();
  private int operationsLeft = Integer.MAX_VALUE;
  private long bytesLeft = Long.MAX_VALUE;
  private boolean crashed;

  /** Lets {@code operations} more succeed. */
  void crashAfter(int operations) {
    operationsLeft = operations;
  }

  void limitBytes(long bytes) {
    bytesLeft = bytes;
  }

  boolean hasCrashed() {
    return crashed;
  }

  private void step() {
    if (operationsLeft-- <= 0) {
      crashed = true;
      operationsLeft = 0;
      throw new Crash();
    }
  }

  @Override
  public void createDirectory(Path folder) throws IOException {
    step();
    Files.createDirectory(folder);
    pending.add(new Pending(folder, null, null));
  }

  @Override
  public Output create(Path file) throws IOException {
    step();
    FileChannel channel =
        FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
    pending.add(new Pending(file, null, null));
    unforcedFiles.add(file);
    return new FaultyOutput(file, channel);
  }

  @Override
  public void rename(Path from, Path to) throws IOException {
    step();
    byte[] replaced = Files.isRegularFile(to) ? Files.readAllBytes(to) : null;
    SYSTEM.rename(from, to);
    moveMemory(from, to);
    pending.add(new Pending(to, from, replaced));
  }

  @Override
  public void forceDirectory(Path folder) {
    step();
    pending.removeIf(entry -> folder.equals(entry.entry.getParent()));
  }

  @Override
  public void delete(Path path) throws IOException {
    step();
    Files.delete(path);
    pending.removeIf(entry -> entry.entry.equals(path));
    unforcedFiles.remove(path);
  }

  /** Takes back whatever a machine that loses power may lose. */
  void losePower() throws IOException {
    while (!pending.isEmpty()) {
      Pending last = pending.removeLast();
      Path from = last.renamedFrom;
      if (!Files.exists(last.entry)) {
        continue;
      }
      if (from == null) {
        SYSTEM.deleteTree(last.entry);
      } else if (!Files.exists(from)) {
        SYSTEM.rename(last.entry, from);
        moveMemory(last.entry, from);
        if (last.replaced != null) {
          Files.write(last.entry, last.replaced);
        }
      }
    }
    for (Path file : unforcedFiles) {
      if (Files.exists(file)) {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
          channel.truncate(channel.size() / 2);
        }
      }
    }
  }

  private void moveMemory(Path from, Path to) {
    pending.replaceAll(
        entry -> new Pending(moved(entry.entry, from, to), entry.renamedFrom, entry.replaced));
    List<Path> files = List.copyOf(unforcedFiles);
    unforcedFiles.clear();
    files.forEach(file -> unforcedFiles.add(moved(file, from, to)));
  }

  private static Path moved(Path path, Path from, Path to) {
    return path.startsWith(from) ? to.resolve(from.relativize(path)).normalize() : path;
  }

  private final class FaultyOutput implements Output {
    private final Path file;
    private final FileChannel channel;

    FaultyOutput(Path file, FileChannel channel) {
      this.file = file;
      this.channel = channel;
    }

    @Override
    public int write(ByteBuffer source) throws IOException {
      step();
      if (bytesLeft == 0) {
        throw new IOException("No space left on device");
      }
      // A file's first write takes only half, so that it can be torn in the middle.
      int wanted =
          channel.position() == 0 ? Math.ceilDiv(source.remaining(), 2) : source.remaining();
      int count = (int) Math.min(bytesLeft, wanted);
      ByteBuffer part = source.slice(source.position(), count);
      while (part.hasRemaining()) {
        channel.write(part);
      }
      source.position(source.position() + count);
      bytesLeft -= count;
      return count;
    }

    @Override
    public void force() {
      step();
      unforcedFiles.remove(file);
    }

    @Override
    public boolean isOpen() {
      return channel.isOpen();
    }

    @Override
    public void close() throws IOException {
      channel.close();
    }
  }
}
