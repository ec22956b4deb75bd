package io.panatron.runtime.data;

import io.panatron.runtime.UserError;
import io.panatron.runtime.data.source.BadRow;
import io.panatron.runtime.data.source.DataFormat;
import io.panatron.runtime.data.source.RowFile;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** All rows of the data files, by number, read when asked for. Safe for use by several threads. */
final class RowStore implements AutoCloseable {
  private final List<Path> paths = new ArrayList<>();
  private final List<RowFile> files = new ArrayList<>();
  private final List<Integer> ends = new ArrayList<>();
  private final RowParser parser;

  RowStore(RowParser parser) {
    this.parser = parser;
  }

  /** Adds a file; its rows get the next numbers. Not to be called once rows are being read. */
  void add(Path path) {
    RowFile file = DataFormat.open(path);
    paths.add(path);
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

  private int line(int row, int file) {
    return row - (file == 0 ? 0 : ends.get(file - 1));
  }

  /** {@code file:line} of a row. */
  String location(int row) {
    int file = file(row);
    return paths.get(file) + ":" + files.get(file).number(line(row, file));
  }

  Row read(int row) throws BadRow {
    int file = file(row);
    return parser.parse(files.get(file).columns(line(row, file)));
  }

  /** A row known to be good. */
  Row get(int row) {
    try {
      return read(row);
    } catch (BadRow e) {
      throw new UserError(
          location(row)
              + " "
              + e.getMessage()
              + ", although it was fine at the start; leave data files unchanged during a run",
          e);
    }
  }

  @Override
  public void close() {
    files.forEach(RowFile::close);
  }
}
