package io.panatron.runtime.task;

import io.panatron.runtime.data.SequenceTag;
import java.util.List;
import java.util.SortedMap;

/** Collects outputs and says how good they are. */
public interface Measures {
  /** Adds the outputs of a micro-batch; shapes as {@link SequenceLoss}. */
  void add(double[][] outputs, List<SequenceTag> tags);

  /**
   * What was measured so far, by name; a measure that has no value, such as the correlation with
   * labels that are all the same, is absent.
   */
  SortedMap<String, Mean> values();
}
