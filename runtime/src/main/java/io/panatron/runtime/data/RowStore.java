package io.panatron.runtime.data;

import io.panatron.runtime.UserError;
import java.nio.charset.CharacterCodingException;
import java.util.ArrayList;
import java.util.List;

/** All rows of the data files, by number, read when asked for. Safe for use by several threads. */
final class RowStore implements AutoCloseable {
  private final List<JsonlFile> files = new ArrayList<>();
  private final List<Integer> ends = new ArrayList<>();
  private final RowParser parser;

  RowStore(RowParser parser) {
    this.parser = parser;
  }

  /** Adds a file; its lines get the next numbers. Not to be called once rows are being read. */
  void add(JsonlFile file) {
    files.add(file);
    ends.add(Math.addExact(size(), file.lines()));
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
    return files.get(file).location(line(row, file));
  }

  Row read(int row) throws RowParser.BadRow {
    int file = file(row);
    try {
      return parser.parse(files.get(file).line(line(row, file)));
    } catch (CharacterCodingException e) {
      throw new RowParser.BadRow("is not valid UTF-8");
    }
  }

  /** A row known to be good. */
  Row get(int row) {
    try {
      return read(row);
    } catch (RowParser.BadRow e) {
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
    files.forEach(JsonlFile::close);
  }
}
