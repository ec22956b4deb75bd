package io.panatron.runtime.data;

import java.util.List;

/**
 * What is known of a sequence whose loss is not that of its tokens.
 *
 * @param labels a class, classes that apply, or numbers, as the task says; may be empty
 */
public record SequenceTag(SequenceRole role, List<Double> labels) {
  public SequenceTag {
    labels = List.copyOf(labels);
  }

  /** A tag with one number. */
  public static SequenceTag of(SequenceRole role, double label) {
    return new SequenceTag(role, List.of(label));
  }

  /** The only number. */
  public double label() {
    if (labels.size() != 1) {
      throw new IllegalStateException(role + " has labels " + labels);
    }
    return labels.getFirst();
  }
}
