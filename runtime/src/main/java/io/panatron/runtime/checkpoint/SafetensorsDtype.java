package io.panatron.runtime.checkpoint;

import org.jspecify.annotations.Nullable;

/**
 * The element types a safetensors file may hold, under the names its header uses.
 *
 * <p>Types of less than one byte (F4, F6) and complex numbers are left out: no weight this trainer
 * reads uses them.
 */
public enum SafetensorsDtype {
  BOOL(1, "bool"),
  U8(1, "uint8"),
  I8(1, "int8"),
  F8_E5M2(1, "float8_e5m2"),
  F8_E4M3(1, "float8_e4m3fn"),
  U16(2, "uint16"),
  I16(2, "int16"),
  F16(2, "float16"),
  BF16(2, "bfloat16"),
  U32(4, "uint32"),
  I32(4, "int32"),
  F32(4, "float32"),
  U64(8, "uint64"),
  I64(8, "int64"),
  F64(8, "float64");

  private final int byteSize;
  private final String torchName;

  SafetensorsDtype(int byteSize, String torchName) {
    this.byteSize = byteSize;
    this.torchName = torchName;
  }

  /** Bytes of one element. */
  public int byteSize() {
    return byteSize;
  }

  /** The name in {@code config.json} and on the command line, such as {@code bfloat16}. */
  public String torchName() {
    return torchName;
  }

  /** The type of a header's name ({@code "BF16"}), or null where it is unknown. */
  static @Nullable SafetensorsDtype ofHeaderName(String name) {
    for (SafetensorsDtype dtype : values()) {
      if (dtype.name().equals(name)) {
        return dtype;
      }
    }
    return null;
  }

  /**
   * The type of a PyTorch name ({@code "bfloat16"} or {@code "torch.bfloat16"}), or null where it
   * is unknown.
   */
  public static @Nullable SafetensorsDtype ofTorchName(String name) {
    String bare = name.startsWith("torch.") ? name.substring("torch.".length()) : name;
    for (SafetensorsDtype dtype : values()) {
      if (dtype.torchName.equals(bare)) {
        return dtype;
      }
    }
    return null;
  }

  /**
   * Bytes of a tensor of this type.
   *
   * @throws ArithmeticException where the product overflows a long
   */
  public long byteSize(long[] shape) {
    long elements = 1;
    boolean empty = false;
    for (long dimension : shape) {
      empty |= dimension == 0;
      // A zero dimension must not hide an overflow of the others.
      elements = Math.multiplyExact(elements, Math.max(dimension, 1));
    }
    long bytes = Math.multiplyExact(elements, (long) byteSize);
    return empty ? 0 : bytes;
  }
}
