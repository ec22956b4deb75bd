package io.panatron.runtime.checkpoint;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;
import java.util.function.Supplier;

/**
 * A tensor to be saved: what a file's header says of it, and a writer that delivers its bytes when
 * the file is written, so that no whole copy of a model has to lie on the host.
 */
public final class TensorSource {
  /** Large enough to hide the system call, small enough for the JDK's temporary direct buffer. */
  private static final long WRITE_BYTES = 4L << 20;

  private final String name;
  private final SafetensorsDtype dtype;
  private final long[] shape;
  private final Writer writer;
  private final long byteSize;

  /** Delivers the bytes of one tensor. */
  @FunctionalInterface
  public interface Writer {
    /** Writes exactly {@link TensorSource#byteSize()} bytes, little-endian and row-major. */
    void writeTo(WritableByteChannel out) throws IOException;

    /** Copies the same bytes to memory of just that size. */
    default void copyTo(MemorySegment target) throws IOException {
      SegmentChannel channel = new SegmentChannel(target);
      writeTo(channel);
      if (channel.written() != target.byteSize()) {
        throw new IllegalStateException(
            "a tensor delivered %d bytes of its %d"
                .formatted(channel.written(), target.byteSize()));
      }
    }
  }

  /**
   * A tensor whose bytes {@code writer} delivers.
   *
   * @param shape dimensions, outermost first; none may be negative
   */
  public TensorSource(String name, SafetensorsDtype dtype, long[] shape, Writer writer) {
    this.name = name;
    this.dtype = dtype;
    this.shape = shape.clone();
    this.writer = writer;
    for (long dimension : shape) {
      if (dimension < 0) {
        throw new IllegalArgumentException("tensor " + name + " has a negative dimension");
      }
    }
    this.byteSize = dtype.byteSize(shape);
  }

  /** A tensor whose bytes lie in a segment, which is asked for when the file is written. */
  public static TensorSource ofSegment(
      String name, SafetensorsDtype dtype, long[] shape, Supplier<MemorySegment> segment) {
    return new TensorSource(name, dtype, shape, out -> write(segment.get(), out));
  }

  public String name() {
    return name;
  }

  public SafetensorsDtype dtype() {
    return dtype;
  }

  /** The dimensions; a copy. */
  public long[] shape() {
    return shape.clone();
  }

  /** How many bytes the writer must deliver. */
  public long byteSize() {
    return byteSize;
  }

  void writeTo(WritableByteChannel out) throws IOException {
    writer.writeTo(out);
  }

  /** Copies all bytes to memory of {@link #byteSize()} bytes. */
  void copyTo(MemorySegment target) throws IOException {
    writer.copyTo(target);
  }

  /**
   * Writes all bytes of a segment to a channel, a few MiB at a time: native memory as it lies, an
   * array of the heap through a small buffer.
   */
  public static void write(MemorySegment segment, WritableByteChannel out) throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      long bytes = segment.byteSize();
      MemorySegment staging =
          segment.isNative() ? MemorySegment.NULL : arena.allocate(Math.min(WRITE_BYTES, bytes));
      for (long at = 0; at < bytes; at += WRITE_BYTES) {
        long length = Math.min(WRITE_BYTES, bytes - at);
        MemorySegment part = segment.asSlice(at, length);
        if (!segment.isNative()) {
          part = staging.asSlice(0, length).copyFrom(part);
        }
        ByteBuffer buffer = part.asByteBuffer();
        while (buffer.hasRemaining()) {
          out.write(buffer);
        }
      }
    }
  }
}
