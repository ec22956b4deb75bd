package io.panatron.runtime.data;

import io.panatron.runtime.data.source.BadRow;
import io.panatron.runtime.data.source.RawRow;
import io.panatron.runtime.data.source.RowCursor;
import java.io.IOException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.jspecify.annotations.Nullable;

/** Tokenizes whole files by several threads; the order of rows is that of the file. */
final class Tokenization {
  private static final int BLOCK = 64;
  private static final int BLOCKS_AHEAD = 4;

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
    ExecutorService workers = Executors.newFixedThreadPool(threads, Tokenization::thread);
    try {
      Deque<Future<List<Outcome>>> ahead = new ArrayDeque<>();
      for (List<RawRow> block = block(rows); !block.isEmpty(); block = block(rows)) {
        List<RawRow> taken = block;
        ahead.add(workers.submit(() -> taken.stream().map(this::encode).toList()));
        if (ahead.size() > threads * BLOCKS_AHEAD) {
          write(ahead.remove(), out);
        }
      }
      while (!ahead.isEmpty()) {
        write(ahead.remove(), out);
      }
    } finally {
      workers.close();
    }
  }

  private static Thread thread(Runnable task) {
    Thread thread = new Thread(task, "tokenization");
    thread.setDaemon(true);
    return thread;
  }

  private static List<RawRow> block(RowCursor rows) {
    List<RawRow> block = new ArrayList<>(BLOCK);
    RawRow row;
    while (block.size() < BLOCK && (row = rows.next()) != null) {
      block.add(row);
    }
    return block;
  }

  private static void write(Future<List<Outcome>> block, TokenFileWriter out) throws IOException {
    for (Outcome outcome : get(block)) {
      if (outcome.sample() != null) {
        out.add(outcome.number(), outcome.sample());
      } else if (outcome.problem() != null) {
        out.add(outcome.number(), outcome.problem());
      }
    }
  }

  private static List<Outcome> get(Future<List<Outcome>> block) {
    try {
      return block.get();
    } catch (ExecutionException e) {
      switch (e.getCause()) {
        case RuntimeException cause -> throw cause;
        case Error cause -> throw cause;
        case null, default -> throw new IllegalStateException("tokenizing failed", e);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted while tokenizing", e);
    }
  }
}
