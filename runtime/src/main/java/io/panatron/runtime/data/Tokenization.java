package io.panatron.runtime.data;

import io.panatron.runtime.data.source.BadRow;
import io.panatron.runtime.data.source.RawRow;
import io.panatron.runtime.data.source.RowCursor;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Tokenizes whole files by several threads; the order of rows is that of the file. */
final class Tokenization {
  private static final int BLOCK = 64;

  private final RowParser parser;
  private final SampleEncoder encoder;
  private final int threads;

  Tokenization(RowParser parser, SampleEncoder encoder, int threads) {
    this.parser = parser;
    this.encoder = encoder;
    this.threads = threads;
  }

  /** A row's sample, or why there is none. */
  record Outcome(long number, @Nullable EncodedSample sample, @Nullable BadRow problem) {}

  /** One row, tokenized. */
  Outcome encode(RawRow row) {
    try {
      return new Outcome(row.number(), encoder.encode(parser.parse(row.columns())), null);
    } catch (BadRow e) {
      return new Outcome(row.number(), null, e);
    } catch (TemplateException e) {
      BadRow bad = new BadRow(BadRow.Kind.TEMPLATE, String.valueOf(e.getMessage()));
      return new Outcome(row.number(), null, bad);
    }
  }

  /** Writes all rows of a file. */
  void run(RowCursor rows, TokenFileWriter out) throws IOException {
    OrderedWork.<List<Outcome>, IOException>run(
        threads,
        () -> {
          List<RawRow> block = block(rows);
          return block.isEmpty() ? null : () -> block.stream().map(this::encode).toList();
        },
        outcomes -> write(outcomes, out));
  }

  private static List<RawRow> block(RowCursor rows) {
    List<RawRow> block = new ArrayList<>(BLOCK);
    RawRow row;
    while (block.size() < BLOCK && (row = rows.next()) != null) {
      block.add(row);
    }
    return block;
  }

  private static void write(List<Outcome> block, TokenFileWriter out) throws IOException {
    for (Outcome outcome : block) {
      if (outcome.sample() != null) {
        out.add(outcome.number(), outcome.sample());
      } else if (outcome.problem() != null) {
        out.add(outcome.number(), outcome.problem());
      }
    }
  }
}
