package io.panatron.runtime.data;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.IntUnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * Work of several threads whose results are taken in the order in which it was given, so that
 * results and the first error are those of one thread. The threads run ahead by a few pieces only,
 * which bounds memory.
 */
final class OrderedWork {
  private static final int PIECES_AHEAD = 4;

  /** Numbers that make one piece of work. */
  private static final int PIECE = 128;

  private OrderedWork() {}

  /** Gives the pieces one after the other, null after the last. */
  interface Source<R> {
    @Nullable Callable<R> next();
  }

  /** Takes the results one after the other. */
  interface Sink<R, X extends Exception> {
    void take(R result) throws X;
  }

  /** Does all the work; source and sink are called by the calling thread. */
  static <R, X extends Exception> void run(int threads, Source<R> source, Sink<R, X> sink)
      throws X {
    ExecutorService workers = Executors.newFixedThreadPool(threads, OrderedWork::thread);
    Deque<Future<R>> ahead = new ArrayDeque<>();
    try {
      for (Callable<R> piece = source.next(); piece != null; piece = source.next()) {
        ahead.add(workers.submit(piece));
        if (ahead.size() > threads * PIECES_AHEAD) {
          sink.take(get(ahead.remove()));
        }
      }
      while (!ahead.isEmpty()) {
        sink.take(get(ahead.remove()));
      }
    } finally {
      // After an error nobody wants the rest. What runs may end: an interrupt would close its file.
      ahead.forEach(piece -> piece.cancel(false));
      workers.close();
    }
  }

  /** A function of 0, 1, ... n - 1. */
  static int[] ints(int threads, int n, IntUnaryOperator function) {
    int[] results = new int[n];
    OrderedWork.<int[], RuntimeException>run(
        threads,
        new Source<>() {
          private int start;

          @Override
          public @Nullable Callable<int[]> next() {
            int from = start;
            int to = Math.min(n, from + PIECE);
            start = to;
            return from == to
                ? null
                : () -> {
                  for (int i = from; i < to; i++) {
                    results[i] = function.applyAsInt(i);
                  }
                  return results;
                };
          }
        },
        ignored -> {});
    return results;
  }

  private static Thread thread(Runnable task) {
    Thread thread = new Thread(task, "tokenization");
    thread.setDaemon(true);
    return thread;
  }

  private static <R> R get(Future<R> result) {
    try {
      return result.get();
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
