package io.panatron.runtime.generate;

/** Hears of answers while they are made. */
public interface AnswerListener {
  /** Hears nothing. */
  AnswerListener NONE = new AnswerListener() {};

  /**
   * A piece of text is certain: whole characters, no part of a stop string. The pieces of a sample
   * come in order and together are its answer's text; samples of a batch take turns.
   */
  default void piece(int prompt, int sample, String text) {}

  /** A sample has ended. */
  default void ended(Answer answer) {}
}
