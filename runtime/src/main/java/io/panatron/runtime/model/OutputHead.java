package io.panatron.runtime.model;

/** What a model makes of its last hidden states: which parameters stand behind the final norm. */
public sealed interface OutputHead {
  /** A language model: a logit for each token of the vocabulary. */
  OutputHead VOCABULARY = new Vocabulary();

  /** A base model: the hidden states themselves. */
  OutputHead NONE = new None();

  /** {@code lm_head}, or the embedding where that is tied. */
  record Vocabulary() implements OutputHead {}

  /**
   * A sequence classifier: {@code score}, a matrix without bias.
   *
   * @param labels its rows
   */
  record Scores(int labels) implements OutputHead {
    public Scores {
      ConfigRange.check("num_labels", labels, 1, 1 << 20);
    }
  }

  /** No parameter. */
  record None() implements OutputHead {}
}
