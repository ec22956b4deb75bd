package io.panatron.kernels.cpu;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/** The threads of the cpu backend, each ready to multiply matrices by itself. */
final class CpuWorkers implements AutoCloseable {
  private final MatmulEngine engine;
  private final WorkerPool pool;
  private @Nullable Thread caller;

  /**
   * @param threads how many work on an operation, the calling one included
   * @param cacheFolder where unpacked native libraries are kept, or null for none
   */
  CpuWorkers(int threads, @Nullable Path cacheFolder, MatmulEngine.HalfProducts halves) {
    engine = new MatmulEngine(cacheFolder, threads, halves);
    pool = new WorkerPool(threads, "cpu-worker", engine::startThread, engine::stopThread);
  }

  MatmulEngine engine() {
    return engine;
  }

  WorkerPool pool() {
    return pool;
  }

  int threads() {
    return pool.threads();
  }

  /** {@link WorkerPool#run}, with the calling thread prepared for products too. */
  void run(int count, WorkerPool.Task task) {
    Thread current = Thread.currentThread();
    if (caller != current) {
      engine.startThread();
      caller = current;
    }
    pool.run(count, task);
  }

  /** Ends the workers, then oneDNN. Called by the thread that made the calls. */
  @Override
  public void close() {
    pool.close();
    engine.stopThread(0);
    engine.close();
  }
}
