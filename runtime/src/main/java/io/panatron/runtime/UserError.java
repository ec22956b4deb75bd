package io.panatron.runtime;

import org.jspecify.annotations.Nullable;

/**
 * A mistake in what the user gave: a parameter, a data row, a weight file, a tokenizer.
 *
 * <p>The message is one sentence that says what is wrong, where (file and line, parameter name),
 * why, and what to do. {@code Main} prints it without a stack trace and exits with status 2.
 */
public final class UserError extends RuntimeException {
  private static final long serialVersionUID = 1L;

  public UserError(String message) {
    super(message);
  }

  /** Keeps the technical cause for {@code --logging_level debug}. */
  public UserError(String message, @Nullable Throwable cause) {
    super(message, cause);
  }
}
