package io.panatron.runtime.data;

import io.panatron.runtime.UserError;
import io.panatron.runtime.data.source.BadRow;
import io.panatron.runtime.data.source.DataFormat;
import io.panatron.runtime.data.source.RowFile;
import java.nio.file.Path;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** Rows that are parsed and tokenized each time that they are asked for. */
final class LazySampleFile implements SampleFile {
  private static final int UNKNOWN = -1;

  /** At most the limit. */
  private static final int WITHIN = -2;

  private final Path path;
  private final RowFile rows;
  private final RowParser parser;
  private final SampleEncoder encoder;
  private final int limit;

  /**
   * Tokens of each row, {@link #WITHIN} or {@link #UNKNOWN}; a row is only ever given one value.
   */
  private final int[] lengths;

  private LazySampleFile(
      Path path, RowFile rows, RowParser parser, SampleEncoder encoder, int limit) {
    this.path = path;
    this.rows = rows;
    this.parser = parser;
    this.encoder = encoder;
    this.limit = limit;
    this.lengths = new int[rows.rows()];
    Arrays.fill(lengths, UNKNOWN);
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
  public Path source() {
    return path;
  }

  @Override
  public long number(int row) {
    return rows.number(row);
  }

  @Override
  public @Nullable BadRow problem(int row) {
    try {
      // Rendering here also shows now what a template refuses.
      boolean fits = encoder.surelyWithin(parser.parse(rows.columns(row)), limit);
      if (fits || limit == Integer.MAX_VALUE) {
        lengths[row] = WITHIN;
      }
      return null;
    } catch (BadRow e) {
      return e;
    } catch (TemplateException e) {
      return new BadRow(BadRow.Kind.TEMPLATE, String.valueOf(e.getMessage()));
    }
  }

  @Override
  public int lengthOver(int row, int asked) {
    if (lengths[row] == WITHIN && asked >= limit) {
      return 0;
    }
    return parser.makesSequences() ? sample(row).longest() : length(row);
  }

  @Override
  public int length(int row) {
    int known = lengths[row];
    if (known >= 0) {
      return known;
    }
    int length = sample(row).length();
    if (known == UNKNOWN) {
      lengths[row] = length;
    }
    return length;
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
