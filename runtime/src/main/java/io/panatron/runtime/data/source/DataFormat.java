package io.panatron.runtime.data.source;

import io.panatron.runtime.UserError;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.zip.GZIPInputStream;
import org.jspecify.annotations.Nullable;

/** The formats of data files, told apart by the end of a file's name. */
public enum DataFormat {
  /** One JSON object a line. */
  JSONL(".jsonl"),
  /** A list of JSON objects, or objects one after the other. */
  JSON(".json"),
  /** A table with its columns named in the first line. */
  CSV(".csv"),
  /** A table stored by columns. */
  PARQUET(".parquet"),
  /** A text a line, as column {@code text}. */
  TXT(".txt");

  /** What a user is told to give. */
  public static final String NAMES =
      ".jsonl, .json, .csv or .txt (each also with .gz), or .parquet";

  private static final String GZIP = ".gz";
  private static final int BUFFER = 1 << 16;

  private final String extension;

  DataFormat(String extension) {
    this.extension = extension;
  }

  public String extension() {
    return extension;
  }

  /** The format that a file's name tells; null if it is none of these. */
  public static @Nullable DataFormat of(Path file) {
    String name = file.toString().toLowerCase(Locale.ROOT);
    boolean gzip = name.endsWith(GZIP);
    String plain = gzip ? name.substring(0, name.length() - GZIP.length()) : name;
    for (DataFormat format : values()) {
      if (plain.endsWith(format.extension)) {
        return gzip && format == PARQUET ? null : format;
      }
    }
    return null;
  }

  /** The format of a file that has been admitted as data. */
  private static DataFormat required(Path file) {
    DataFormat format = of(file);
    if (format == null) {
      throw new UserError("the data set " + file + " is not " + NAMES);
    }
    return format;
  }

  /** Opens a file to read its rows in order. */
  public static RowCursor cursor(Path file) {
    DataFormat format = required(file);
    return switch (format) {
      case JSONL, TXT -> new LineCursor(file, stream(file), format == JSONL);
      case JSON -> new JsonCursor(file, stream(file));
      case CSV -> CsvCursor.open(file, stream(file));
      case PARQUET -> ParquetCursor.open(file);
    };
  }

  /**
   * Opens a file to read its rows by number. Lines of a file that is not compressed are read where
   * they are; rows of the other formats are first written to a temporary file as large as they are.
   */
  public static RowFile open(Path file) {
    DataFormat format = required(file);
    boolean lines = format == JSONL || format == TXT;
    if (lines && !isGzip(file)) {
      return LineFile.open(file, format == JSONL);
    }
    try (RowCursor cursor = cursor(file)) {
      return SpooledRows.of(file, cursor);
    }
  }

  private static boolean isGzip(Path file) {
    return file.toString().toLowerCase(Locale.ROOT).endsWith(GZIP);
  }

  private static InputStream stream(Path file) {
    try {
      InputStream raw = Files.newInputStream(file);
      try {
        return new BufferedInputStream(
            isGzip(file) ? new GZIPInputStream(raw, BUFFER) : raw, BUFFER);
      } catch (IOException | RuntimeException e) {
        raw.close();
        throw e;
      }
    } catch (IOException e) {
      throw new UserError(
          "the data set "
              + file
              + " cannot be opened ("
              + e
              + "); check the path and its rights"
              + (isGzip(file) ? ", and that it is a gzip file" : ""),
          e);
    }
  }

  static UserError broken(Path file, long number, IOException e) {
    return new UserError(
        file
            + ":"
            + number
            + " cannot be read on ("
            + e
            + "); "
            + (isGzip(file)
                ? "the compressed file is cut off or damaged, so copy it again"
                : "check the disk"),
        e);
  }
}
