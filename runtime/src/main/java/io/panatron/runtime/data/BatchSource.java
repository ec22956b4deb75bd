package io.panatron.runtime.data;

import io.panatron.runtime.UserError;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.LongFunction;
import org.jspecify.annotations.Nullable;

/**
 * Micro-batches of one rank in order, tokenized ahead of their use by background threads.
 *
 * <p>At most {@code prefetch} batches are made ahead. Which thread makes a batch, and when, does
 * not change it. An error of a row comes out of the {@link #next} whose batch holds it. For one
 * consumer thread.
 */
public final class BatchSource implements AutoCloseable {
  /** How batches are laid out, and how far ahead and by how many threads they are made. */
  public record Settings(boolean paddingFree, int padId, int numWorkers, int prefetchFactor) {
    public Settings {
      if (numWorkers < 0 || prefetchFactor < 1) {
        throw new UserError(
            "--num_workers must be at least 0 and --dataloader_prefetch_factor at least 1, but they"
                + " are "
                + numWorkers
                + " and "
                + prefetchFactor);
      }
    }
  }

  private final SampleSet samples;
  private final Settings settings;
  private final LongFunction<int[]> order;
  private final long step;
  private final long end;
  private final Deque<Future<MicroBatch>> ahead = new ArrayDeque<>();
  private final List<Thread> threads = new CopyOnWriteArrayList<>();
  private final @Nullable ExecutorService workers;
  private long planned;
  private long consumed;
  private long waited;
  private boolean closed;

  private BatchSource(
      SampleSet samples,
      Settings settings,
      LongFunction<int[]> order,
      long step,
      long start,
      long end) {
    this.samples = samples;
    this.settings = settings;
    this.order = order;
    this.step = step;
    this.planned = start;
    this.consumed = start;
    this.end = end;
    this.workers =
        settings.numWorkers() == 0
            ? null
            : Executors.newFixedThreadPool(
                Math.min(settings.numWorkers(), Runtime.getRuntime().availableProcessors()),
                this::newThread);
    fill();
  }

  /**
   * The endless training batches of a rank.
   *
   * @param consumedSamples samples that all ranks have consumed before, a multiple of the sampler's
   *     step
   */
  public static BatchSource training(
      SampleSet samples, BatchSampler sampler, Settings settings, long consumedSamples) {
    return new BatchSource(
        samples,
        settings,
        sampler::microBatch,
        sampler.shape().step(),
        consumedSamples,
        Long.MAX_VALUE);
  }

  /**
   * The samples of one evaluation, each once and in order; the last micro-batches may be smaller or
   * hold no sequence, so that every rank gets the same number of them.
   *
   * @param limit samples to evaluate at most, over all ranks
   */
  public static BatchSource evaluation(
      SampleSet samples, int microBatchSize, int rank, int ranks, Settings settings, long limit) {
    int size = (int) Math.min(samples.size(), limit);
    LongFunction<int[]> order =
        at -> {
          long from = Math.min(size, at + (long) rank * microBatchSize);
          int[] batch = new int[(int) (Math.min(size, from + microBatchSize) - from)];
          for (int i = 0; i < batch.length; i++) {
            batch[i] = (int) from + i;
          }
          return batch;
        };
    return new BatchSource(samples, settings, order, (long) microBatchSize * ranks, 0, size);
  }

  private Thread newThread(Runnable task) {
    Thread thread = new Thread(task, "data-" + threads.size());
    thread.setDaemon(true);
    threads.add(thread);
    return thread;
  }

  /** Whether a batch is left; always true in training. */
  public boolean hasNext() {
    return consumed < end;
  }

  /** The next micro-batch; waits for it if it is not ready. */
  public MicroBatch next() {
    if (closed || !hasNext()) {
      throw new IllegalStateException(closed ? "the batches are closed" : "no batch is left");
    }
    long start = System.nanoTime();
    MicroBatch batch;
    if (workers == null) {
      batch = make(order.apply(consumed));
    } else {
      fill();
      batch = take(ahead.remove());
      fill();
    }
    consumed += step;
    waited = System.nanoTime() - start;
    return batch;
  }

  /** Samples that all ranks have consumed after the batches taken so far. */
  public long consumedSamples() {
    return Math.min(consumed, end);
  }

  /** How long the last {@link #next} took, in nanoseconds. */
  public long waitedNanos() {
    return waited;
  }

  private void fill() {
    if (workers == null) {
      return;
    }
    long most = (long) settings.numWorkers() * settings.prefetchFactor();
    while (ahead.size() < most && planned < end) {
      int[] batch = order.apply(planned);
      ahead.add(workers.submit(() -> make(batch)));
      planned += step;
    }
  }

  private MicroBatch make(int[] batch) {
    List<EncodedSample> encoded = new ArrayList<>(batch.length);
    for (int sample : batch) {
      encoded.addAll(samples.sequences(sample));
    }
    return settings.paddingFree()
        ? MicroBatch.packed(encoded, batch)
        : MicroBatch.padded(encoded, settings.padId(), batch);
  }

  private static MicroBatch take(Future<MicroBatch> future) {
    try {
      return future.get();
    } catch (ExecutionException e) {
      switch (e.getCause()) {
        case RuntimeException cause -> throw cause;
        case Error cause -> throw cause;
        case null, default -> throw new IllegalStateException("making a batch failed", e);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted while waiting for data", e);
    }
  }

  /** Stops the background threads and waits for the batch that each is making. */
  @Override
  public void close() {
    if (closed) {
      return;
    }
    closed = true;
    if (workers == null) {
      return;
    }
    // Not interrupted: an interrupt would close the data files under other readers.
    ahead.forEach(f -> f.cancel(false));
    ahead.clear();
    workers.shutdown();
    boolean interrupted = false;
    for (Thread thread : threads) {
      while (thread.isAlive()) {
        try {
          thread.join();
        } catch (InterruptedException e) {
          interrupted = true;
        }
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
