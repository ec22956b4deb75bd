package io.panatron.runtime.data;

import java.util.List;

/**
 * What the sequences of a micro-batch are compared with, where the loss is not that of tokens.
 *
 * @param lastTokens where the last token of each sequence stands in the micro-batch, padding aside
 * @param tags of each sequence
 */
public record SequenceTargets(int[] lastTokens, List<SequenceTag> tags) {
  public SequenceTargets {
    tags = List.copyOf(tags);
    if (lastTokens.length != tags.size()) {
      throw new IllegalArgumentException(
          lastTokens.length + " sequences, " + tags.size() + " tags");
    }
  }
}
