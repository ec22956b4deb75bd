package io.panatron.runtime.observe.tensorboard;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/**
 * The frame around each record of an event file: its length (8 bytes), the length's checksum (4),
 * the record, the record's checksum (4), all little-endian.
 *
 * <p>The checksum is CRC-32C, rotated right by 15 bits plus a constant, so that a checksum of data
 * that holds checksums stays meaningful. Source: TensorFlow, tsl/lib/io/record_writer.h.
 */
final class RecordFrame {
  private static final int HEADER = 12;
  private static final int TRAILER = 4;
  private static final int MASK = 0xa282ead8;

  private RecordFrame() {}

  /** The frame of a record. */
  static ByteBuffer of(byte[] record) {
    ByteBuffer frame =
        ByteBuffer.allocate(HEADER + record.length + TRAILER).order(ByteOrder.LITTLE_ENDIAN);
    frame.putLong(record.length);
    frame.putInt(maskedChecksum(frame.array(), 0, Long.BYTES));
    frame.put(record);
    frame.putInt(maskedChecksum(record, 0, record.length));
    return frame.flip();
  }

  /**
   * Takes the next record off the buffer.
   *
   * @param bytes little-endian
   * @return null at the end, and where a killed writer or a fault left something else than a whole
   *     record; the position then stays
   */
  static @Nullable ByteBuffer next(ByteBuffer bytes) {
    int start = bytes.position();
    if (bytes.remaining() < HEADER) {
      return null;
    }
    byte[] header = new byte[Long.BYTES];
    bytes.get(start, header);
    long length = bytes.getLong(start);
    boolean whole =
        bytes.getInt(start + Long.BYTES) == maskedChecksum(header, 0, header.length)
            && length >= 0
            && length <= bytes.remaining() - (HEADER + TRAILER);
    if (!whole) {
      return null;
    }
    byte[] record = new byte[(int) length];
    bytes.get(start + HEADER, record);
    if (bytes.getInt(start + HEADER + record.length) != maskedChecksum(record, 0, record.length)) {
      return null;
    }
    bytes.position(start + HEADER + record.length + TRAILER);
    return ByteBuffer.wrap(record).order(ByteOrder.LITTLE_ENDIAN);
  }

  static int maskedChecksum(byte[] bytes, int offset, int length) {
    CRC32C checksum = new CRC32C();
    checksum.update(bytes, offset, length);
    return Integer.rotateRight((int) checksum.getValue(), 15) + MASK;
  }
}
