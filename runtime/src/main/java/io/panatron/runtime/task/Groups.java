package io.panatron.runtime.task;

import io.panatron.runtime.data.SequenceRole;
import io.panatron.runtime.data.SequenceTag;
import java.util.ArrayList;
import java.util.List;

/** Where groups of sequences start and end. */
final class Groups {
  private Groups() {}

  /**
   * A stretch of sequences.
   *
   * @param end behind the last
   */
  record Range(int start, int end) {
    int size() {
      return end - start;
    }
  }

  /** The groups that start with each sequence of a role. */
  static List<Range> startingWith(SequenceRole role, List<SequenceTag> tags) {
    List<Range> groups = new ArrayList<>();
    for (int s = 0; s < tags.size(); s++) {
      if (tags.get(s).role() == role) {
        int end = s + 1;
        while (end < tags.size() && tags.get(end).role() != role) {
          end++;
        }
        groups.add(new Range(s, end));
      }
    }
    return groups;
  }
}
