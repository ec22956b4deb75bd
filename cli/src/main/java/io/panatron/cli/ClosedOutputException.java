package io.panatron.cli;

import java.io.PrintWriter;

/** Nobody reads the program's output any more, as after {@code trainer generate ... | head}. */
final class ClosedOutputException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private ClosedOutputException() {
    super("the output is closed");
  }

  /** Flushes, and throws this where the output takes nothing more. */
  static void check(PrintWriter out) {
    if (out.checkError()) {
      throw new ClosedOutputException();
    }
  }
}
