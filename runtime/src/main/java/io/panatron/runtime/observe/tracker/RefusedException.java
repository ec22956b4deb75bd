package io.panatron.runtime.observe.tracker;

import java.io.IOException;

/** The server answered that it will not do this, now or later. */
final class RefusedException extends IOException {
  private static final long serialVersionUID = 1L;

  RefusedException(String message) {
    super(message);
  }
}
