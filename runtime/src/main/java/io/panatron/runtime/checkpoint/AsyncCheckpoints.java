package io.panatron.runtime.checkpoint;

import io.panatron.runtime.observe.CheckpointCopyEvent;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.concurrent.BlockingDeque;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.LinkedBlockingDeque;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * Saves checkpoints while training goes on: one thread copies the tensors to host memory, another
 * writes the copy to the disk.
 *
 * <p>Parameters and optimizer state stay as they are from one update to the next, so the copy is
 * made beside the forward and backward passes that follow a save, and only the update waits for it
 * ({@link #awaitCopied}). While one copy is written, a second can be taken; a third save waits for
 * the first to be on the disk. The memory of a copy is used again.
 *
 * <p>All methods are for the thread that trains. Source for copying while the state is immutable:
 * Maurya et al., DataStates-LLM, HPDC 2024.
 */
public final class AsyncCheckpoints implements AutoCloseable {
  private static final int COPIES = 2;

  private final CheckpointStore store;
  private final ThreadPoolExecutor copier;
  private final ThreadPoolExecutor writer;

  /** Last in, first out: the second memory is taken from the system only if it is needed. */
  private final BlockingDeque<HostCopy> free = new LinkedBlockingDeque<>();

  private final Deque<Save> saves = new ArrayDeque<>();
  private CompletableFuture<?> copying = CompletableFuture.completedFuture(null);

  private record Save(long iteration, CompletableFuture<Path> written) {}

  /** A checkpoint that is safely on the disk. */
  public record Written(long iteration, Path folder) {}

  /**
   * Nothing is started yet.
   *
   * @param persistent keep both threads for the whole run; otherwise each save starts them anew
   */
  public AsyncCheckpoints(CheckpointStore store, boolean persistent) {
    this.store = store;
    copier = worker("checkpoint-copier", persistent);
    writer = worker("checkpoint-writer", persistent);
    for (int i = 0; i < COPIES; i++) {
      free.add(new HostCopy());
    }
  }

  private static ThreadPoolExecutor worker(String name, boolean persistent) {
    return new ThreadPoolExecutor(
        persistent ? 1 : 0,
        1,
        0,
        TimeUnit.SECONDS,
        new LinkedBlockingQueue<>(),
        Thread.ofPlatform().name(name).daemon().factory());
  }

  /** Takes the memory of the first copy in the background, so that the first save need not. */
  public void prepare(CheckpointContents likeThose) {
    HostCopy first = free.getFirst();
    copying = CompletableFuture.runAsync(() -> first.reserve(HostCopy.bytes(likeThose)), copier);
  }

  /**
   * Begins to save. Until {@link #awaitCopied} has returned, the tensors must not change.
   *
   * <p>Waits while two earlier saves are still being written.
   */
  public void save(CheckpointContents contents) {
    HostCopy memory = takeFree();
    CompletableFuture<CheckpointContents> copied =
        CompletableFuture.supplyAsync(() -> copy(contents, memory), copier);
    copying = copied;
    CompletableFuture<Path> written =
        copied
            .thenApplyAsync(store::saveBesideTraining, writer)
            .whenComplete((folder, failure) -> free.addFirst(memory));
    saves.add(new Save(contents.iteration(), written));
  }

  private static CheckpointContents copy(CheckpointContents contents, HostCopy memory) {
    CheckpointCopyEvent event = new CheckpointCopyEvent();
    event.begin();
    try {
      CheckpointContents copy = memory.copy(contents);
      event.iteration = contents.iteration();
      event.bytes = HostCopy.bytes(contents);
      event.commit();
      return copy;
    } catch (IOException e) {
      throw new UncheckedIOException("tensors could not be copied", e);
    }
  }

  /** Whether {@link #awaitCopied} would return at once. */
  public boolean isCopied() {
    return copying.isDone();
  }

  /**
   * Returns when the tensors given to {@link #save} may change.
   *
   * @throws io.panatron.runtime.UserError where there is no memory for the copy
   */
  public void awaitCopied() {
    get(copying);
  }

  /**
   * The next checkpoint that has reached the disk, in the order of the saves; null where none has
   * since the last call.
   *
   * @throws io.panatron.runtime.UserError where it could not be written
   */
  public @Nullable Written poll() {
    Save oldest = saves.peek();
    return oldest == null || !oldest.written.isDone() ? null : await();
  }

  /** As {@link #poll}, but waits; null where all saves have been told of. */
  public @Nullable Written await() {
    Save oldest = saves.poll();
    return oldest == null ? null : new Written(oldest.iteration, get(oldest.written));
  }

  private static <T> T get(CompletableFuture<T> future) {
    try {
      return future.join();
    } catch (CompletionException e) {
      switch (e.getCause()) {
        case RuntimeException cause -> throw cause;
        case Error cause -> throw cause;
        case null, default -> throw e;
      }
    }
  }

  private HostCopy takeFree() {
    try {
      return free.takeFirst();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted while an earlier checkpoint is written", e);
    }
  }

  /**
   * Waits for what is being written, ends the threads and gives the memory back.
   *
   * @throws io.panatron.runtime.UserError where a save that nobody asked about failed
   */
  @Override
  public void close() {
    RuntimeException first = null;
    while (!saves.isEmpty()) {
      try {
        await();
      } catch (RuntimeException failure) {
        if (first == null) {
          first = failure;
        } else {
          first.addSuppressed(failure);
        }
      }
    }
    copier.close();
    writer.close();
    free.forEach(HostCopy::close);
    if (first != null) {
      throw first;
    }
  }
}
