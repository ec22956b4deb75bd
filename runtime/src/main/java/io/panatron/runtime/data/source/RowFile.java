package io.panatron.runtime.data.source;

import com.fasterxml.jackson.databind.JsonNode;

/** A file whose rows are read by number. Safe for use by several threads. */
public interface RowFile extends AutoCloseable {
  int rows();

  /** The line or row number of the i-th row, as {@link RawRow#number}. */
  long number(int i);

  /**
   * The columns of the i-th row.
   *
   * @throws BadRow if it is malformed
   */
  JsonNode columns(int i) throws BadRow;

  @Override
  void close();
}
