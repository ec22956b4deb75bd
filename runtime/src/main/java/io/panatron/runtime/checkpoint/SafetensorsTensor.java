package io.panatron.runtime.checkpoint;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * One tensor of a mapped safetensors file: its name, type, shape and bytes.
 *
 * <p>The bytes are little-endian, row-major, read-only, and live as long as the arena the file was
 * mapped into. Files whose header is not padded place them at any address, so read them with the
 * {@code _UNALIGNED} layouts.
 */
public final class SafetensorsTensor {
  private final String name;
  private final SafetensorsDtype dtype;
  private final long[] shape;
  private final MemorySegment data;

  SafetensorsTensor(String name, SafetensorsDtype dtype, long[] shape, MemorySegment data) {
    this.name = name;
    this.dtype = dtype;
    this.shape = shape;
    this.data = data;
  }

  public String name() {
    return name;
  }

  public SafetensorsDtype dtype() {
    return dtype;
  }

  /** The dimensions, outermost first; empty for a scalar. A copy. */
  public long[] shape() {
    return shape.clone();
  }

  /** The tensor's bytes: {@code dtype().byteSize(shape())} of them. */
  public MemorySegment data() {
    return data;
  }

  @Override
  public String toString() {
    return name + " " + dtype + Arrays.toString(shape);
  }
}
