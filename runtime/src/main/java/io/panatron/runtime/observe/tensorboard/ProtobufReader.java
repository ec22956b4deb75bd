package io.panatron.runtime.observe.tensorboard;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;

/** Walks over the fields of a protocol-buffer message; a broken message throws. */
final class ProtobufReader {
  private final ByteBuffer in;
  private int field;
  private int wireType;

  /**
   * Reads a message.
   *
   * @param message little-endian
   */
  ProtobufReader(ByteBuffer message) {
    in = message;
  }

  /** Goes to the next field; its value must then be read or skipped. */
  boolean next() {
    if (!in.hasRemaining()) {
      return false;
    }
    long tag = integer();
    field = (int) (tag >>> 3);
    wireType = (int) (tag & 7);
    return true;
  }

  boolean is(int wantedField, int wantedType) {
    return field == wantedField && wireType == wantedType;
  }

  long integer() {
    long value = 0;
    for (int shift = 0; shift < Long.SIZE; shift += 7) {
      byte next = in.get();
      value |= (next & 0x7fL) << shift;
      if (next >= 0) {
        return value;
      }
    }
    throw new IllegalArgumentException("a varint has more than ten bytes");
  }

  double doubleNumber() {
    return in.getDouble();
  }

  float floatNumber() {
    return in.getFloat();
  }

  String text() {
    byte[] bytes = new byte[length()];
    in.get(bytes);
    return new String(bytes, StandardCharsets.UTF_8);
  }

  ProtobufReader message() {
    int length = length();
    ByteBuffer part = in.slice(in.position(), length).order(in.order());
    in.position(in.position() + length);
    return new ProtobufReader(part);
  }

  void skip() {
    switch (wireType) {
      case ProtobufWriter.VARINT -> integer();
      case ProtobufWriter.FIXED64 -> in.getLong();
      case ProtobufWriter.BYTES -> {
        int length = length();
        in.position(in.position() + length);
      }
      case ProtobufWriter.FIXED32 -> in.getInt();
      default -> throw new IllegalArgumentException("wire type " + wireType);
    }
  }

  private int length() {
    long length = integer();
    if (length < 0 || length > in.remaining()) {
      throw new IllegalArgumentException("a field of " + length + " bytes");
    }
    return (int) length;
  }
}
