package io.panatron.kernels;

import org.jspecify.annotations.Nullable;

/** A communication that cannot complete; the message says which, among whom, and why. */
public final class CommunicationException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  public CommunicationException(String message) {
    super(message);
  }

  public CommunicationException(String message, @Nullable Throwable cause) {
    super(message, cause);
  }
}
