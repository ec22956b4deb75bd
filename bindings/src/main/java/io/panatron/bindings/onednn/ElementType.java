package io.panatron.bindings.onednn;

import io.panatron.bindings.onednn.generated.OneDnnC;

/**
 * Element types of matrices that oneDNN multiplies. Products are summed in 32 bits for all of them.
 */
public enum ElementType {
  /** IEEE binary32. */
  F32(4, OneDnnC.dnnl_f32()),
  /** The upper half of a binary32. Slow on CPUs without AVX512_BF16 or AMX. */
  BF16(2, OneDnnC.dnnl_bf16()),
  /** IEEE binary16. Not every CPU has kernels for it. */
  F16(2, OneDnnC.dnnl_f16());

  private final int bytes;
  private final int code;

  ElementType(int bytes, int code) {
    this.bytes = bytes;
    this.code = code;
  }

  /** Bytes of one element. */
  public int bytes() {
    return bytes;
  }

  int code() {
    return code;
  }
}
