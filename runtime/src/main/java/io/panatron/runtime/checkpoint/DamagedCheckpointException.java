package io.panatron.runtime.checkpoint;

/** A checkpoint that is torn or changed; the message is a clause about it, for a warning line. */
final class DamagedCheckpointException extends Exception {
  private static final long serialVersionUID = 1L;

  DamagedCheckpointException(String message) {
    super(message);
  }
}
