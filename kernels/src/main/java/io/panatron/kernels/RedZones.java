package io.panatron.kernels;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Guard bytes before and after a checked buffer, and the NaN pattern that fills it at birth. */
final class RedZones {
  /** Bytes of each zone; one alignment unit, so that buffers stay aligned. */
  static final long BYTES = MemoryPool.ALIGNMENT;

  /** A quiet NaN as F32, as both halves of BF16 and F16, and (twice) as F64; no valid token id. */
  private static final int PATTERN = 0xFFFEFFFE;

  /** Painting goes in pieces of this size, so that it takes no second copy of a large buffer. */
  private static final long CHUNK = 1 << 16;

  private RedZones() {}

  /** Fills zones and buffer with the pattern. */
  static void paint(Device device, Buffer buffer) {
    long bytes = buffer.bytes() + 2 * BYTES;
    long chunk = Math.min(CHUNK, (bytes + 3) / 4 * 4);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment host = arena.allocate(chunk, 8);
      for (long i = 0; i < chunk; i += 4) {
        host.set(ValueLayout.JAVA_INT, i, PATTERN);
      }
      for (long painted = 0; painted < bytes; painted += chunk) {
        device.upload(host, zoneTensor(buffer, painted - BYTES, Math.min(chunk, bytes - painted)));
      }
    }
  }

  /** Throws {@link IllegalStateException} naming the buffer if a zone was written to. */
  static void verify(Device device, Buffer buffer) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment host = arena.allocate(BYTES, 8);
      check(device, buffer, -BYTES, host, "before");
      check(device, buffer, buffer.bytes(), host, "after");
    }
  }

  private static void check(
      Device device, Buffer buffer, long offset, MemorySegment host, String side) {
    device.download(zoneTensor(buffer, offset, BYTES), host);
    for (long i = 0; i < BYTES; i++) {
      long phase = Math.floorMod(offset + BYTES + i, 4L);
      if (host.get(ValueLayout.JAVA_BYTE, i) != (byte) (PATTERN >>> (8 * phase))) {
        throw new IllegalStateException(
            "memory " + side + " " + buffer.label() + " was overwritten at byte " + (offset + i));
      }
    }
  }

  /** Raw bytes around the buffer, seen as a tensor of a temporary buffer handle. */
  private static Tensor zoneTensor(Buffer buffer, long offset, long bytes) {
    Buffer raw =
        new Buffer(
            buffer.owner(), buffer.block(), buffer.label(), BYTES + offset, (bytes + 3) / 4 * 4);
    return new Tensor(raw, 0, Shape.of((bytes + 3) / 4), DType.I32);
  }
}
