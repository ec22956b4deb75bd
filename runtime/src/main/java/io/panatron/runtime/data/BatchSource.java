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

  private final LongFunction<Making> plan;
  private final int mostAhead;
  private final long step;
  private final long end;
  private final @Nullable SampleStream stream;
  private final Deque<Future<@Nullable MicroBatch>> ahead = new ArrayDeque<>();
  private final List<Thread> threads = new CopyOnWriteArrayList<>();
  private final @Nullable ExecutorService workers;
  private @Nullable MicroBatch peeked;
  private long planned;
  private long consumed;
  private long waited;
  private boolean closed;

  /** Makes one micro-batch; null at the end of a stream. */
  private interface Making {
    @Nullable MicroBatch make();
  }

  private BatchSource(
      LongFunction<Making> plan,
      int workerThreads,
      int mostAhead,
      long step,
      long start,
      long end,
      @Nullable SampleStream stream) {
    this.plan = plan;
    this.mostAhead = mostAhead;
    this.step = step;
    this.planned = start;
    this.consumed = start;
    this.end = end;
    this.stream = stream;
    this.workers =
        workerThreads == 0
            ? null
            : Executors.newFixedThreadPool(
                Math.min(workerThreads, Runtime.getRuntime().availableProcessors()),
                this::newThread);
    fill();
  }

  private static BatchSource of(
      SampleSet samples,
      Settings settings,
      LongFunction<int[]> order,
      boolean redraws,
      long step,
      long start,
      long end) {
    LongFunction<Making> plan =
        at -> {
          int[] batch = order.apply(at);
          return () -> make(samples, settings, batch, redraws ? at : -1);
        };
    return new BatchSource(
        plan,
        settings.numWorkers(),
        settings.numWorkers() * settings.prefetchFactor(),
        step,
        start,
        end,
        null);
  }

  /**
   * Training batches of streamed samples, by one thread, until the last epoch ends; samples that do
   * not fill a micro-batch then are left out.
   *
   * @param stream what this closes
   * @param consumedSamples samples consumed before, which are passed over first
   */
  public static BatchSource streaming(
      SampleStream stream, int microBatchSize, Settings settings, long consumedSamples) {
    LongFunction<Making> plan =
        at ->
            () -> {
              if (at == consumedSamples) {
                stream.skip(consumedSamples);
              }
              return streamed(stream, microBatchSize, settings, at);
            };
    return new BatchSource(
        plan,
        Math.min(settings.numWorkers(), 1),
        settings.prefetchFactor(),
        microBatchSize,
        consumedSamples,
        Long.MAX_VALUE,
        stream);
  }

  private static @Nullable MicroBatch streamed(
      SampleStream stream, int size, Settings settings, long at) {
    List<EncodedSample> encoded = new ArrayList<>();
    int[] numbers = new int[size];
    for (int i = 0; i < size; i++) {
      List<EncodedSample> sample = stream.next();
      if (sample == null) {
        return null;
      }
      encoded.addAll(sample);
      numbers[i] = (int) (at + i);
    }
    return laidOut(encoded, settings, numbers);
  }

  /**
   * The endless training batches of a rank.
   *
   * @param consumedSamples samples that all ranks have consumed before, a multiple of the sampler's
   *     step
   */
  public static BatchSource training(
      SampleSet samples, BatchSampler sampler, Settings settings, long consumedSamples) {
    return of(
        samples,
        settings,
        sampler::microBatch,
        true,
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
    return of(samples, settings, order, false, (long) microBatchSize * ranks, 0, size);
  }

  private Thread newThread(Runnable task) {
    Thread thread = new Thread(task, "data-" + threads.size());
    thread.setDaemon(true);
    threads.add(thread);
    return thread;
  }

  /** Whether a batch is left; waits for it if batches are streamed. */
  public boolean hasNext() {
    if (stream == null) {
      return consumed < end;
    }
    if (peeked == null) {
      peeked = take();
    }
    return peeked != null;
  }

  /** The next micro-batch; waits for it if it is not ready. */
  public MicroBatch next() {
    if (closed) {
      throw new IllegalStateException("the batches are closed");
    }
    long start = System.nanoTime();
    MicroBatch batch = hasNext() ? peeked == null ? take() : peeked : null;
    if (batch == null) {
      throw new IllegalStateException("no batch is left");
    }
    peeked = null;
    consumed += step;
    waited = System.nanoTime() - start;
    return batch;
  }

  private @Nullable MicroBatch take() {
    if (workers == null) {
      MicroBatch batch = plan.apply(planned).make();
      planned += step;
      return batch;
    }
    fill();
    MicroBatch batch = get(ahead.remove());
    fill();
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
    while (ahead.size() < mostAhead && planned < end) {
      Making making = plan.apply(planned);
      ahead.add(workers.submit(making::make));
      planned += step;
    }
  }

  /**
   * @param at the place of the batch among all that are drawn; -1 where each sample is always the
   *     same
   */
  private static MicroBatch make(SampleSet samples, Settings settings, int[] batch, long at) {
    List<EncodedSample> encoded = new ArrayList<>(batch.length);
    for (int i = 0; i < batch.length; i++) {
      int sample = batch[i];
      encoded.addAll(at < 0 ? samples.sequences(sample) : samples.sequences(sample, at + i));
    }
    return laidOut(encoded, settings, batch);
  }

  private static MicroBatch laidOut(List<EncodedSample> encoded, Settings settings, int[] numbers) {
    return settings.paddingFree()
        ? MicroBatch.packed(encoded, numbers)
        : MicroBatch.padded(encoded, settings.padId(), numbers);
  }

  private static @Nullable MicroBatch get(Future<@Nullable MicroBatch> future) {
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
    if (workers != null) {
      join(workers);
    }
    if (stream != null) {
      stream.close();
    }
  }

  private void join(ExecutorService workers) {
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
