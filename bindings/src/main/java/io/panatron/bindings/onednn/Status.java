package io.panatron.bindings.onednn;

import io.panatron.bindings.NativeCallException;
import io.panatron.bindings.onednn.generated.OneDnnC;

/** Turns oneDNN's status codes into exceptions. */
final class Status {
  /** The code of what this CPU has no kernel for ({@code dnnl_unimplemented}). */
  static final int UNIMPLEMENTED = 3;

  private Status() {}

  /**
   * Throws unless the status is success.
   *
   * @param arguments what the function was called with; its text is only made on failure
   */
  static void check(int status, String function, Object arguments) {
    if (status != OneDnnC.dnnl_success()) {
      throw new NativeCallException(
          function, arguments.toString(), status, meaning(status), remedy(status));
    }
  }

  private static String meaning(int status) {
    return switch (status) {
      case 1 -> "out of memory";
      case 2 -> "invalid arguments";
      case UNIMPLEMENTED -> "unimplemented";
      case 4 -> "no further implementation";
      case 5 -> "runtime error";
      case 6 -> "not required";
      default -> "unknown";
    };
  }

  private static String remedy(int status) {
    return switch (status) {
      case 1 -> "lower the batch or sequence length, or use a machine with more memory";
      case 2 -> "check that sizes, strides and types fit each other";
      case UNIMPLEMENTED -> "this CPU has no kernel for these types; use float32";
      default -> "set ONEDNN_VERBOSE=all to see what oneDNN says about it";
    };
  }
}
