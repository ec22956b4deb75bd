package io.panatron.bindings;

import org.jspecify.annotations.Nullable;

/**
 * Says that a native library could not be provided on this machine. The message is one sentence for
 * the user: which library, where, why, and what to do; callers may show it without a stack trace.
 */
public final class NativeLibraryException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /**
   * Reports a library that is not there or cannot be loaded.
   *
   * @param message what, where, why and the remedy
   * @param cause what the system said, or null
   */
  public NativeLibraryException(String message, @Nullable Throwable cause) {
    super(message, cause);
  }
}
