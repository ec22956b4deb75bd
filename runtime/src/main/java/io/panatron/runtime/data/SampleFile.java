package io.panatron.runtime.data;

import io.panatron.runtime.data.source.BadRow;
import io.panatron.runtime.data.source.RawRow;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/** The rows of one data file as samples of tokens. Safe for use by several threads. */
interface SampleFile extends AutoCloseable {
  int rows();

  /** The data file that the rows come from. */
  Path source();

  /** The line or number of a row in it, as {@link RawRow#number}. */
  long number(int row);

  /** {@code file:line} of a row. */
  default String location(int row) {
    return source() + ":" + RawRow.place(number(row));
  }

  /** Why a row cannot be used, or null. To be asked once for each row, before anything else. */
  @Nullable BadRow problem(int row);

  /**
   * The tokens of a row's longest sequence, if more than {@code limit}, else any number up to that.
   */
  int lengthOver(int row, int limit);

  /** The tokens of a row. */
  int length(int row);

  /** The whole sample of a row, however long. */
  EncodedSample sample(int row);

  @Override
  void close();
}
