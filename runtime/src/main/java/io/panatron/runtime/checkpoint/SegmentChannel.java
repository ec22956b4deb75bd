package io.panatron.runtime.checkpoint;

import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;

/** Fills memory from its beginning. */
final class SegmentChannel implements WritableByteChannel {
  private final MemorySegment target;
  private long written;

  SegmentChannel(MemorySegment target) {
    this.target = target;
  }

  /**
   * Takes all remaining bytes.
   *
   * @throws IllegalStateException where the memory is too small for them
   */
  @Override
  public int write(ByteBuffer source) {
    int count = source.remaining();
    if (count > target.byteSize() - written) {
      throw new IllegalStateException(
          "%d bytes for memory of %d".formatted(written + count, target.byteSize()));
    }
    MemorySegment.copy(MemorySegment.ofBuffer(source), 0, target, written, count);
    source.position(source.limit());
    written += count;
    return count;
  }

  /** The bytes written so far. */
  long written() {
    return written;
  }

  @Override
  public boolean isOpen() {
    return true;
  }

  @Override
  public void close() {
    // The memory belongs to whoever handed it in.
  }
}
