package io.panatron.runtime.hub;

import java.io.IOException;

/**
 * The hub gave no answer, or has trouble that may pass; the message is the reason in a few words.
 */
final class HubUnreachableException extends IOException {
  private static final long serialVersionUID = 1L;

  HubUnreachableException(String message, Throwable cause) {
    super(message, cause);
  }
}
