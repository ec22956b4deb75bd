package io.panatron.runtime.data;

/** A conversation that a chat template cannot render; the message completes "the row ...". */
public final class TemplateException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  TemplateException(String message, Throwable cause) {
    super(message, cause);
  }

  TemplateException(String message) {
    super(message);
  }
}
