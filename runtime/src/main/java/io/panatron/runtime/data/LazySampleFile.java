package io.panatron.runtime.data;

import io.panatron.runtime.UserError;
import io.panatron.runtime.data.source.BadRow;
import io.panatron.runtime.data.source.DataFormat;
import io.panatron.runtime.data.source.RawRow;
import io.panatron.runtime.data.source.RowFile;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/** Rows that are parsed and tokenized each time that they are asked for. */
final class LazySampleFile implements SampleFile {
  private final Path path;
  private final RowFile rows;
  private final RowParser parser;
  private final SampleEncoder encoder;
  private final int limit;
  private final boolean[] within;

  private LazySampleFile(
      Path path, RowFile rows, RowParser parser, SampleEncoder encoder, int limit) {
    this.path = path;
    this.rows = rows;
    this.parser = parser;
    this.encoder = encoder;
    this.limit = limit;
    this.within = new boolean[rows.rows()];
  }

  /**
   * Opens a file.
   *
   * @param limit the token limit that will be asked about, for which tokenizing can often be spared
   */
  static LazySampleFile open(Path path, RowParser parser, SampleEncoder encoder, int limit) {
    return new LazySampleFile(path, DataFormat.open(path), parser, encoder, limit);
  }

  @Override
  public int rows() {
    return rows.rows();
  }

  @Override
  public String location(int row) {
    return path + ":" + RawRow.place(rows.number(row));
  }

  @Override
  public @Nullable BadRow problem(int row) {
    try {
      // Rendering here also shows now what a template refuses.
      boolean fits = encoder.surelyWithin(parser.parse(rows.columns(row)), limit);
      within[row] = fits || limit == Integer.MAX_VALUE;
      return null;
    } catch (BadRow e) {
      return e;
    } catch (TemplateException e) {
      return new BadRow(BadRow.Kind.TEMPLATE, String.valueOf(e.getMessage()));
    }
  }

  @Override
  public int lengthOver(int row, int asked) {
    return within[row] && asked >= limit ? 0 : sample(row).longest();
  }

  @Override
  public int length(int row) {
    return sample(row).length();
  }

  @Override
  public EncodedSample sample(int row) {
    try {
      return encoder.encode(parser.parse(rows.columns(row)));
    } catch (BadRow e) {
      throw new UserError(
          location(row)
              + " "
              + e.getMessage()
              + ", although it was fine at the start; leave data files unchanged during a run",
          e);
    } catch (TemplateException e) {
      throw new UserError(location(row) + " " + e.getMessage(), e);
    }
  }

  @Override
  public void close() {
    rows.close();
  }
}
