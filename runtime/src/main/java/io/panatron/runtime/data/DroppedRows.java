package io.panatron.runtime.data;

import java.util.ArrayList;
import java.util.List;

/**
 * What was left out of the data.
 *
 * @param malformed rows that cannot be used
 * @param tooLong rows deleted because they exceed {@code max_length}
 * @param reasons the first few reasons, each with file and line
 */
public record DroppedRows(int malformed, int tooLong, List<String> reasons) {
  static final int MAX_REASONS = 5;

  public DroppedRows {
    reasons = List.copyOf(reasons);
  }

  public int total() {
    return malformed + tooLong;
  }

  /** Lines for the user; none if nothing was left out. */
  public List<String> describe() {
    if (total() == 0) {
      return List.of();
    }
    List<String> lines = new ArrayList<>();
    lines.add(
        "Left out          " + malformed + " malformed rows and " + tooLong + " too long ones:");
    reasons.forEach(reason -> lines.add("  " + reason));
    if (total() > reasons.size()) {
      lines.add("  and " + (total() - reasons.size()) + " more");
    }
    return lines;
  }
}
