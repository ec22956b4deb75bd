package io.panatron.runtime.data.agent;

/** A tool, or a call of one, that cannot be used; the message completes "the row has ...". */
public final class AgentException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  AgentException(String message) {
    super(message);
  }
}
