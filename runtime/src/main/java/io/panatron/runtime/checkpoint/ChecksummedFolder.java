package io.panatron.runtime.checkpoint;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** A folder being filled: flushes each file, and keeps size and checksums for the manifest. */
final class ChecksummedFolder {
  private final CheckpointFiles files;
  private final Path folder;
  private final boolean besideTraining;
  private final List<CheckpointManifest.Entry> entries = new ArrayList<>();

  /** Writes the content of one file. */
  @FunctionalInterface
  interface Content {
    void writeTo(WritableByteChannel out) throws IOException;
  }

  ChecksummedFolder(CheckpointFiles files, Path folder) {
    this(files, folder, false);
  }

  /**
   * @param besideTraining whether training goes on meanwhile, see {@link
   *     CheckpointFiles#createBesideTraining}
   */
  ChecksummedFolder(CheckpointFiles files, Path folder, boolean besideTraining) {
    this.files = files;
    this.folder = folder;
    this.besideTraining = besideTraining;
  }

  void createSubfolder(String name) throws IOException {
    files.createDirectory(folder.resolve(name));
  }

  void write(String path, byte[] content) throws IOException {
    write(
        path, files.create(folder.resolve(path)), out -> CheckpointFiles.writeFully(out, content));
  }

  /** Creates a file ({@code path} with {@code /}), fills it and flushes it to the disk. */
  void write(String path, Content content) throws IOException {
    Path file = folder.resolve(path);
    write(path, besideTraining ? files.createBesideTraining(file) : files.create(file), content);
  }

  private void write(String path, CheckpointFiles.Output file, Content content) throws IOException {
    ChunkChecksums checksums = new ChunkChecksums();
    try (CheckpointFiles.Output out = file) {
      content.writeTo(new ChecksummingChannel(out, checksums));
      out.force();
    }
    entries.add(new CheckpointManifest.Entry(path, checksums.bytes(), checksums.checksums()));
  }

  /** The files written so far. */
  List<CheckpointManifest.Entry> entries() {
    return List.copyOf(entries);
  }

  private record ChecksummingChannel(WritableByteChannel out, ChunkChecksums checksums)
      implements WritableByteChannel {
    @Override
    public int write(ByteBuffer source) throws IOException {
      ByteBuffer before = source.duplicate();
      int count = out.write(source);
      checksums.update(before.limit(before.position() + count));
      return count;
    }

    @Override
    public boolean isOpen() {
      return out.isOpen();
    }

    @Override
    public void close() {
      // The folder closes the file after flushing it.
    }
  }
}
