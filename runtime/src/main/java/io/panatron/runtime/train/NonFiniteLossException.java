package io.panatron.runtime.train;

/**
 * The loss or a gradient became NaN or infinite; the step was abandoned before it touched a
 * parameter.
 */
public final class NonFiniteLossException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  NonFiniteLossException(String message) {
    super(message);
  }
}
