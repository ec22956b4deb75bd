package io.panatron.cli;

import io.panatron.runtime.generate.Answer;
import java.io.PrintWriter;

/** Answers as text, each on its own line under its prompt; a single one without the prompt. */
final class TextOutput implements AnswerOutput {
  private final PrintWriter out;
  private final boolean streams;
  private final boolean showsPrompts;

  /**
   * @param streams whether text is shown piece by piece
   * @param total how many answers there will be
   */
  TextOutput(PrintWriter out, boolean streams, int total) {
    this.out = out;
    this.streams = streams;
    this.showsPrompts = total > 1;
  }

  @Override
  public void begin(PromptOptions.Prompt prompt, int sample) {
    if (showsPrompts && streams) {
      show(prompt);
    }
  }

  private void show(PromptOptions.Prompt prompt) {
    out.println("> " + prompt.shown());
    ClosedOutputException.check(out);
  }

  @Override
  public void piece(String text) {
    if (streams) {
      out.print(text);
      ClosedOutputException.check(out);
    }
  }

  @Override
  public void end(PromptOptions.Prompt prompt, Answer answer) {
    if (!streams) {
      if (showsPrompts) {
        show(prompt);
      }
      out.print(answer.text());
    }
    out.println();
    ClosedOutputException.check(out);
  }
}
