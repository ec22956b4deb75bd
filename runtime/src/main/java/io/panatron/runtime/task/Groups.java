package io.panatron.runtime.task;

import io.panatron.runtime.data.SequenceRole;
import io.panatron.runtime.data.SequenceTag;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

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

  /** What the positive, which is the first, and the negatives of a group got. */
  static Map<String, Object> scored(double[] scores) {
    Map<String, Object> row = new LinkedHashMap<>();
    row.put("positive", scores[0]);
    row.put("negatives", Arrays.copyOfRange(scores, 1, scores.length));
    return row;
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
