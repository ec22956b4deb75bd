package io.panatron.kernels.local;

/** Ranks do different things where they must do the same; the message names both. */
final class MismatchException extends Exception {
  private static final long serialVersionUID = 1L;

  MismatchException(String message) {
    super(message);
  }
}
