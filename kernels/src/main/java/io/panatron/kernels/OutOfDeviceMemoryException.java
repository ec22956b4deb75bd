package io.panatron.kernels;

/** The device could not give the memory that was asked for. */
public final class OutOfDeviceMemoryException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  public OutOfDeviceMemoryException(String message, Throwable cause) {
    super(message, cause);
  }
}
