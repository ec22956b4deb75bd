package io.panatron.runtime.observe.tracker;

import java.io.IOException;

/** The server will not take so much in one request. */
final class TooLargeException extends IOException {
  private static final long serialVersionUID = 1L;

  TooLargeException(String message) {
    super(message);
  }
}
