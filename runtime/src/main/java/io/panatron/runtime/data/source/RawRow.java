package io.panatron.runtime.data.source;

import com.fasterxml.jackson.databind.JsonNode;

/** One row as its file has it. */
public interface RawRow {
  /** Where it stands: the line it starts on, or the number of the row in a file without lines. */
  long number();

  /**
   * The columns of the row; parses it, so that the work may be done on another thread than the
   * reading.
   *
   * @throws BadRow if it is malformed
   */
  JsonNode columns() throws BadRow;
}
