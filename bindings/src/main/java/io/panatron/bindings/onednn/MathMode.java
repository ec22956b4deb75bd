package io.panatron.bindings.onednn;

import io.panatron.bindings.onednn.generated.OneDnnC;

/** How far oneDNN may round 32-bit inputs down inside a multiplication. */
public enum MathMode {
  /** Not at all. */
  STRICT(OneDnnC.dnnl_fpmath_mode_strict()),
  /** To bfloat16, where that is faster. */
  BF16(OneDnnC.dnnl_fpmath_mode_bf16()),
  /** To whatever is fastest. */
  ANY(OneDnnC.dnnl_fpmath_mode_any());

  private final int code;

  MathMode(int code) {
    this.code = code;
  }

  int code() {
    return code;
  }
}
