package io.panatron.runtime.data;

import io.panatron.runtime.data.source.BadRow;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** All rows of the data files, by number. Safe for use by several threads once all are added. */
final class SampleFiles implements AutoCloseable {
  private final List<SampleFile> files = new ArrayList<>();
  private final List<Integer> ends = new ArrayList<>();

  /** Adds a file, which this closes; its rows get the next numbers. */
  void add(SampleFile file) {
    files.add(file);
    ends.add(Math.addExact(size(), file.rows()));
  }

  int size() {
    return ends.isEmpty() ? 0 : ends.getLast();
  }

  private int file(int row) {
    int low = 0;
    int high = ends.size() - 1;
    while (low < high) {
      int middle = (low + high) / 2;
      if (ends.get(middle) > row) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return low;
  }

  private int within(int file, int row) {
    return row - (file == 0 ? 0 : ends.get(file - 1));
  }

  /** {@code file:line} of a row. */
  String location(int row) {
    int file = file(row);
    return files.get(file).location(within(file, row));
  }

  /** The data file that a row comes from. */
  Path source(int row) {
    return files.get(file(row)).source();
  }

  /** See {@link SampleFile#number}. */
  long number(int row) {
    int file = file(row);
    return files.get(file).number(within(file, row));
  }

  /** See {@link SampleFile#problem}. */
  @Nullable BadRow problem(int row) {
    int file = file(row);
    return files.get(file).problem(within(file, row));
  }

  /** See {@link SampleFile#lengthOver}. */
  int lengthOver(int row, int limit) {
    int file = file(row);
    return files.get(file).lengthOver(within(file, row), limit);
  }

  /** The tokens of a row. */
  int length(int row) {
    int file = file(row);
    return files.get(file).length(within(file, row));
  }

  /** The whole sample of a row. */
  EncodedSample sample(int row) {
    int file = file(row);
    return files.get(file).sample(within(file, row));
  }

  @Override
  public void close() {
    files.forEach(SampleFile::close);
  }
}
