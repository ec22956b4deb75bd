package io.panatron.kernels;

/** The element types a tensor can hold. */
public enum DType {
  /** IEEE binary64; only the reference backend computes in it. */
  F64(8),
  /** IEEE binary32. */
  F32(4),
  /** The upper half of a binary32: 8 exponent bits, 7 stored fraction bits. */
  BF16(2),
  /** IEEE binary16. */
  F16(2),
  /**
   * One sign, four exponent and three fraction bits, no infinity: up to 448, for optimizer state
   * with a scale.
   */
  F8_E4M3(1),
  /** Signed 16-bit integers: what F32 numbers have beyond a BF16 model, for optimizer state. */
  I16(2),
  /** Signed 32-bit integers: token ids, positions, labels. */
  I32(4);

  private final int bytes;

  DType(int bytes) {
    this.bytes = bytes;
  }

  /** Bytes of one element. */
  public int bytes() {
    return bytes;
  }

  public boolean isFloating() {
    return this != I32 && this != I16;
  }

  /**
   * The type in which sums over this type are kept: parameter gradients, per-row statistics,
   * losses. F64 for F64, else F32.
   */
  public DType accumulator() {
    return this == F64 ? F64 : F32;
  }
}
