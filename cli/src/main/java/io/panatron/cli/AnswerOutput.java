package io.panatron.cli;

import io.panatron.runtime.generate.Answer;

/** Where answers go, one after the other. */
interface AnswerOutput {
  /** The answer to a prompt begins. */
  default void begin(PromptOptions.Prompt prompt, int sample) {}

  /** A piece of its text; all pieces together are the text. */
  default void piece(String text) {}

  /** The answer is complete. */
  void end(PromptOptions.Prompt prompt, Answer answer);
}
