package io.panatron.runtime.model;

/** What a model makes of its last hidden states: which parameters stand behind the final norm. */
public sealed interface HeadKind {
  /** A language model: a logit for each token of the vocabulary. */
  HeadKind VOCABULARY = new Vocabulary();

  /** A base model: the hidden states themselves. */
  HeadKind NONE = new None();

  /** {@code lm_head}, or the embedding where that is tied. */
  record Vocabulary() implements HeadKind {}

  /**
   * A sequence classifier: {@code score}, a matrix without bias.
   *
   * @param labels its rows
   */
  record Scores(int labels) implements HeadKind {
    public Scores {
      ConfigRange.check("num_labels", labels, 1, 1 << 20);
    }
  }

  /** No parameter. */
  record None() implements HeadKind {}
}
