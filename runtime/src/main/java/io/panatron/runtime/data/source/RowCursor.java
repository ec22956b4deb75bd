package io.panatron.runtime.data.source;

import org.jspecify.annotations.Nullable;

/** The rows of one file from the first to the last. For one thread. */
public interface RowCursor extends AutoCloseable {
  /**
   * The next row, or null at the end of the file.
   *
   * @throws io.panatron.runtime.UserError if the file cannot be read any further
   */
  @Nullable RawRow next();

  @Override
  void close();
}
