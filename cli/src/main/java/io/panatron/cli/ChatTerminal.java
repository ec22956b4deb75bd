package io.panatron.cli;

import io.panatron.runtime.UserError;
import io.panatron.runtime.generate.ChatSession;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import org.jspecify.annotations.Nullable;

/**
 * A conversation, line by line, until the input ends or says {@code exit} or {@code quit}; {@code
 * clear} forgets the turns so far. Answers are shown as they grow.
 */
final class ChatTerminal {
  private final ChatSession session;
  private final BufferedReader in;
  private final PrintWriter out;
  private final boolean prompts;

  /**
   * @param prompts whether to show where to type; not for input from a file or a program
   */
  ChatTerminal(ChatSession session, BufferedReader in, PrintWriter out, boolean prompts) {
    this.session = session;
    this.in = in;
    this.out = out;
    this.prompts = prompts;
  }

  /**
   * Holds the conversation.
   *
   * @throws ClosedOutputException if nobody reads the answers any more
   */
  void run() {
    if (prompts) {
      out.println("Ctrl-D or exit ends the conversation, clear starts a new one.");
    }
    while (true) {
      if (prompts) {
        out.print("> ");
        ClosedOutputException.check(out);
      }
      String line = nextLine();
      String word = line == null ? "exit" : line.strip();
      switch (word) {
        case "exit", "quit" -> {
          if (prompts && line == null) {
            out.println();
          }
          return;
        }
        case "clear" -> session.clear();
        case "" -> {}
        default -> answer(line == null ? "" : line);
      }
    }
  }

  /** What cannot be answered is said, and the conversation goes on: {@code clear} may be next. */
  private void answer(String line) {
    try {
      session.say(
          line,
          piece -> {
            out.print(piece);
            ClosedOutputException.check(out);
          });
    } catch (UserError mistake) {
      out.print(mistake.getMessage());
    }
    out.println();
    ClosedOutputException.check(out);
  }

  private @Nullable String nextLine() {
    try {
      return in.readLine();
    } catch (IOException e) {
      throw new UncheckedIOException("reading what the user says", e);
    }
  }
}
