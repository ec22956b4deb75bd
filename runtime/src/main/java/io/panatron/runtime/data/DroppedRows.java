package io.panatron.runtime.data;

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
}
