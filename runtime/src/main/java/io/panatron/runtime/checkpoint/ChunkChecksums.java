package io.panatron.runtime.checkpoint;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.CRC32C;

/** CRC-32C of each 16 MiB of a stream, taken while it is written or read. */
final class ChunkChecksums {
  static final int CHUNK_BYTES = 16 << 20;

  /** Fits the second-level cache, so that the checksum reads what the copy just brought. */
  private static final int READ_BYTES = 1 << 20;

  private final CRC32C crc = new CRC32C();
  private final List<Integer> finished = new ArrayList<>();
  private int inChunk;
  private long bytes;

  /** Takes the remaining bytes of {@code buffer}, and leaves its position alone. */
  void update(ByteBuffer buffer) {
    ByteBuffer rest = buffer.duplicate();
    while (rest.hasRemaining()) {
      int length = Math.min(rest.remaining(), CHUNK_BYTES - inChunk);
      ByteBuffer part = rest.slice(rest.position(), length);
      crc.update(part);
      rest.position(rest.position() + length);
      bytes += length;
      inChunk += length;
      if (inChunk == CHUNK_BYTES) {
        endChunk();
      }
    }
  }

  private void endChunk() {
    finished.add((int) crc.getValue());
    crc.reset();
    inChunk = 0;
  }

  long bytes() {
    return bytes;
  }

  /** The checksums of all bytes taken; the last one may cover a shorter chunk. */
  List<Integer> checksums() {
    if (inChunk > 0) {
      endChunk();
    }
    return List.copyOf(finished);
  }

  /** The checksums of a whole file. */
  static List<Integer> of(Path file) throws IOException {
    ChunkChecksums checksums = new ChunkChecksums();
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ);
        Arena arena = Arena.ofConfined()) {
      long capacity = Math.clamp(channel.size(), 1, READ_BYTES);
      ByteBuffer buffer = arena.allocate(capacity).asByteBuffer();
      while (channel.read(buffer) >= 0) {
        checksums.update(buffer.flip());
        buffer.clear();
      }
    }
    return checksums.checksums();
  }
}
