package io.panatron.kernels;

/** A device cannot be used here; the message says why and what to do, in one sentence. */
public final class BackendUnavailableException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  public BackendUnavailableException(String message, Throwable cause) {
    super(message, cause);
  }
}
