package io.panatron.runtime.data.jinja;

/**
 * A template that cannot be read or rendered: a syntax error, an unknown construct, an operation on
 * unfit values, or the template's own {@code raise_exception}.
 */
public final class JinjaException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  public JinjaException(String message) {
    super(message);
  }
}
