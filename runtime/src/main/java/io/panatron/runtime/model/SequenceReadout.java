package io.panatron.runtime.model;

import java.util.List;

/** What is read at the last token of each sequence. */
public sealed interface SequenceReadout {
  /** The hidden state behind the final norm. */
  record HiddenState() implements SequenceReadout {}

  /** All rows of the output head: the scores of a classifier. */
  record AllScores() implements SequenceReadout {}

  /**
   * The logits of some tokens.
   *
   * @param ids rows of the output head, in the order of the result's columns
   */
  record TokenScores(List<Integer> ids) implements SequenceReadout {
    public TokenScores {
      ids = List.copyOf(ids);
    }
  }
}
