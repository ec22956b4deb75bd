package io.panatron.bindings;

/**
 * Says that a native function returned a failure code. The message names the function, what it was
 * called with, the code, its meaning and what to do.
 */
public final class NativeCallException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final String function;
  private final int code;

  /**
   * Reports a failed call.
   *
   * @param function name of the C function
   * @param arguments the sizes and types it was called with
   * @param code the status it returned
   * @param meaning the status in words
   * @param remedy what the reader can do
   */
  public NativeCallException(
      String function, String arguments, int code, String meaning, String remedy) {
    super(
        "%s(%s) failed with status %d (%s); %s"
            .formatted(function, arguments, code, meaning, remedy));
    this.function = function;
    this.code = code;
  }

  /** Name of the C function that failed. */
  public String function() {
    return function;
  }

  /** The status that the function returned. */
  public int code() {
    return code;
  }
}
