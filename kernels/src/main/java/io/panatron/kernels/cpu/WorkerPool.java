package io.panatron.kernels.cpu;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;

/**
 * The platform threads of one rank: the rank's own thread and {@code threads - 1} workers, which
 * run the pieces of one kernel at a time.
 *
 * <p>Which worker runs which piece depends on timing, so a piece must write only what its index
 * owns.
 */
final class WorkerPool implements AutoCloseable {
  /**
   * Kernels follow each other within microseconds; parking sooner would cost a wake-up for each.
   */
  private static final long SPIN_NANOS = 50_000;

  private final Thread[] workers;
  private final AtomicInteger nextPiece = new AtomicInteger();
  private final AtomicInteger runningWorkers = new AtomicInteger();
  private final AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();
  private final AtomicInteger epoch = new AtomicInteger();
  private volatile boolean closed;
  private int pieces;
  private @Nullable Thread caller;
  private @Nullable Task task;

  /** One piece of a kernel. */
  @FunctionalInterface
  interface Task {
    /**
     * Does one part of the work.
     *
     * @param worker 0 to threads - 1, for scratch memory that only this worker uses meanwhile
     * @param piece which part of the work to do
     */
    void run(int worker, int piece);
  }

  /**
   * Starts the workers.
   *
   * @param threads how many threads work on a kernel, the caller's included; at least 1
   * @param onStart runs first on each worker thread
   */
  WorkerPool(int threads, String name, Runnable onStart) {
    this(threads, name, onStart, worker -> {});
  }

  /**
   * @param threads how many threads work on a kernel, the caller's included; at least 1
   * @param onStart runs first on each worker thread
   * @param onStop runs last on each worker thread, with the worker's number from 1; not on the
   *     caller's
   */
  WorkerPool(int threads, String name, Runnable onStart, IntConsumer onStop) {
    if (threads < 1) {
      throw new IllegalArgumentException("a worker pool needs a thread, not " + threads);
    }
    workers = new Thread[threads - 1];
    for (int i = 0; i < workers.length; i++) {
      int worker = i + 1;
      workers[i] =
          Thread.ofPlatform()
              .daemon()
              .name(name + "-" + worker)
              .unstarted(() -> {
                onStart.run();
                serve(worker);
                onStop.accept(worker);
              });
    }
    for (Thread thread : workers) {
      thread.start();
    }
  }

  int threads() {
    return workers.length + 1;
  }

  /**
   * Runs {@code task} for the pieces {@code 0 .. count - 1} and returns when all are done. The
   * first failure of a piece is thrown here; pieces not begun by then are skipped.
   */
  void run(int count, Task work) {
    if (count <= 1 || workers.length == 0) {
      for (int piece = 0; piece < count; piece++) {
        work.run(0, piece);
      }
      return;
    }
    caller = Thread.currentThread();
    task = work;
    pieces = count;
    nextPiece.set(0);
    runningWorkers.set(workers.length);
    epoch.incrementAndGet(); // publishes task and pieces
    for (Thread worker : workers) {
      LockSupport.unpark(worker);
    }
    drain(0, work, count);
    awaitWorkers();
    task = null;
    Throwable thrown = failure.getAndSet(null);
    if (thrown instanceof RuntimeException exception) {
      throw exception;
    } else if (thrown instanceof Error error) {
      throw error;
    }
  }

  @Override
  public void close() {
    closed = true;
    boolean interrupted = false;
    for (Thread worker : workers) {
      LockSupport.unpark(worker);
      while (worker.isAlive()) {
        try {
          worker.join();
        } catch (InterruptedException e) {
          interrupted = true;
        }
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private void serve(int worker) {
    int seen = 0;
    while (true) {
      long spinUntil = System.nanoTime() + SPIN_NANOS;
      while (epoch.get() == seen && !closed) {
        if (System.nanoTime() < spinUntil) {
          Thread.onSpinWait();
        } else {
          LockSupport.park(this);
        }
      }
      if (closed) {
        return;
      }
      seen = epoch.get();
      Task work = task;
      if (work != null) {
        drain(worker, work, pieces);
      }
      if (runningWorkers.decrementAndGet() == 0) {
        LockSupport.unpark(caller);
      }
    }
  }

  /** Spins as long as a wake-up would take, then leaves the core to a worker or to the compiler. */
  private void awaitWorkers() {
    long spinUntil = System.nanoTime() + SPIN_NANOS;
    while (runningWorkers.get() > 0) {
      if (System.nanoTime() < spinUntil) {
        Thread.onSpinWait();
      } else {
        LockSupport.park(this);
      }
    }
  }

  private void drain(int worker, Task work, int count) {
    try {
      int piece;
      while ((piece = nextPiece.getAndIncrement()) < count) {
        work.run(worker, piece);
      }
    } catch (RuntimeException | Error thrown) {
      nextPiece.set(count);
      failure.compareAndSet(null, thrown);
    }
  }
}
