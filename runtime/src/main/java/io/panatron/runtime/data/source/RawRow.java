package io.panatron.runtime.data.source;

import com.fasterxml.jackson.databind.JsonNode;

/** One row as its file has it. */
public interface RawRow {
  /**
   * Where it stands: the line it starts on, or the number of the row in a file without lines; in a
   * file that may have several rows on a line both, as {@link #numbered} joins them.
   */
  long number();

  /** A {@link #number} of a line and of the row in the file, both from 1. */
  static long numbered(long line, long row) {
    return row << 32 | line;
  }

  /** A {@link #number} for people. */
  static String place(long number) {
    long row = number >>> 32;
    return (number & 0xffffffffL) + (row == 0 ? "" : " (row " + row + ")");
  }

  /**
   * The columns of the row; parses it, so that the work may be done on another thread than the
   * reading.
   *
   * @throws BadRow if it is malformed
   */
  JsonNode columns() throws BadRow;
}
