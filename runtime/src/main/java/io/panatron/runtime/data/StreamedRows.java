package io.panatron.runtime.data;

import io.panatron.runtime.UserError;
import io.panatron.runtime.data.source.DataFormat;
import io.panatron.runtime.data.source.RawRow;
import io.panatron.runtime.data.source.RowCursor;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The rows of the training data in one epoch of streaming: each data set from its start, one after
 * the other or mixed, and shuffled as far as a buffer reaches. For one thread.
 */
final class StreamedRows implements AutoCloseable {
  private final List<DataSet> sets;
  private final @Nullable Mixing mixing;
  private final TorchRandom random;
  private final List<Located> buffer = new ArrayList<>();
  private final int bufferSize;
  private final boolean[] ended;
  private int current;
  private boolean over;

  /**
   * Starts an epoch.
   *
   * @param bufferSize rows of the shuffle buffer; 1 keeps the order
   */
  StreamedRows(
      List<DatasetPath> paths, @Nullable Mixing mixing, int bufferSize, TorchRandom random) {
    this.sets = paths.stream().map(DataSet::new).toList();
    this.mixing = mixing;
    this.bufferSize = bufferSize;
    this.random = random;
    this.ended = new boolean[sets.size()];
  }

  /**
   * A row and its file.
   *
   * @param dataset the value of {@code --dataset} that names the file
   */
  record Located(String dataset, Path file, RawRow row) {
    String location() {
      return file + ":" + RawRow.place(row.number());
    }
  }

  /** The next row, or null at the end of the epoch. */
  @Nullable Located next() {
    while (!over && buffer.size() < bufferSize) {
      Located row = mixing == null ? nextInTurn() : nextMixed(mixing);
      if (row == null) {
        over = true;
      } else {
        buffer.add(row);
      }
    }
    if (buffer.isEmpty()) {
      return null;
    }
    int drawn = bufferSize == 1 ? 0 : (int) (random.next() % buffer.size());
    Located row = buffer.get(drawn);
    Located last = buffer.removeLast();
    if (drawn < buffer.size()) {
      buffer.set(drawn, last);
    }
    return row;
  }

  private @Nullable Located nextInTurn() {
    while (current < sets.size()) {
      Located row = sets.get(current).next();
      if (row != null) {
        return row;
      }
      current++;
    }
    return null;
  }

  private @Nullable Located nextMixed(Mixing how) {
    if (how.isOver(ended)) {
      return null;
    }
    int drawn = how.draw(random);
    DataSet set = sets.get(drawn);
    Located row = set.next();
    if (row == null) {
      set.restart();
      row = set.next();
      if (row == null) {
        throw new UserError("--dataset " + set.path.given() + " has no rows to be mixed in");
      }
    }
    if (set.isAtEnd()) {
      ended[drawn] = true;
    }
    return row;
  }

  @Override
  public void close() {
    sets.forEach(DataSet::close);
  }

  /** The rows of one data set up to its count, which may be more than it has. */
  private static final class DataSet implements AutoCloseable {
    private final DatasetPath path;
    private int file;
    private @Nullable RowCursor cursor;
    private @Nullable Located ahead;
    private long given;
    private boolean any;

    DataSet(DatasetPath path) {
      this.path = path;
    }

    @Nullable Located next() {
      fill();
      Located row = ahead;
      ahead = null;
      given += row == null ? 0 : 1;
      return row;
    }

    boolean isAtEnd() {
      fill();
      return ahead == null;
    }

    void restart() {
      close();
      file = 0;
      given = 0;
      ahead = null;
    }

    private void fill() {
      if (ahead != null || path.count() >= 0 && given >= path.count()) {
        return;
      }
      ahead = read();
      if (ahead == null && path.count() >= 0 && any) {
        file = 0;
        ahead = read();
      }
    }

    private @Nullable Located read() {
      while (file < path.files().size()) {
        RowCursor open = cursor;
        if (open == null) {
          open = DataFormat.cursor(path.files().get(file));
          cursor = open;
        }
        RawRow row = open.next();
        if (row != null) {
          any = true;
          return new Located(path.given(), path.files().get(file), row);
        }
        close();
        file++;
      }
      return null;
    }

    @Override
    public void close() {
      if (cursor != null) {
        cursor.close();
        cursor = null;
      }
    }
  }
}
