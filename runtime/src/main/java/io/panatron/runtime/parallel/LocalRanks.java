package io.panatron.runtime.parallel;

import io.panatron.kernels.Backend;
import io.panatron.kernels.CommunicationException;
import io.panatron.kernels.MemoryPool;
import io.panatron.kernels.Network;
import io.panatron.kernels.OutOfDeviceMemoryException;
import io.panatron.runtime.UserError;
import io.panatron.runtime.parallel.topology.ParallelSizes;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * The ranks of a run as threads of this virtual machine: opens the backend, the memory and the
 * groups of each, runs one function on all of them and gathers what it returns.
 *
 * <p>When one rank fails, the others end at their next exchange, and whoever waits in one ends at
 * once.
 */
public final class LocalRanks {
  private final ParallelSizes sizes;
  private final Network network;
  private final Devices devices;
  private final Duration grace;

  /** Opens what each rank computes with. */
  public interface Devices {
    /** A rank's backend; called on the rank's own thread. */
    Backend openBackend(int rank);

    /** A rank's memory. */
    MemoryPool openMemory(Backend backend);
  }

  /**
   * What every rank does.
   *
   * @param <T> what comes of it
   */
  @FunctionalInterface
  public interface RankFunction<T> {
    T run(RankContext rank) throws Exception;
  }

  /**
   * Ranks that do not run yet.
   *
   * @param network of as many ranks as {@code sizes} has; closed at the end of {@link #run}
   * @param grace how long the others may take to end after one failed
   */
  public LocalRanks(ParallelSizes sizes, Network network, Devices devices, Duration grace) {
    if (sizes.world() != network.size()) {
      throw new IllegalArgumentException(
          sizes.world() + " ranks in a network of " + network.size());
    }
    this.sizes = sizes;
    this.network = network;
    this.devices = devices;
    this.grace = grace;
  }

  /**
   * Runs the function on every rank and returns the results in rank order.
   *
   * @throws UserError the first that a rank threw
   * @throws CommunicationException with the first failure of a rank as its cause, and the position
   *     of every rank
   */
  public <T> List<T> run(RankFunction<T> function) {
    Run<T> run = new Run<>(function);
    List<Thread> threads = new ArrayList<>();
    for (int rank = 0; rank < sizes.world(); rank++) {
      int number = rank;
      threads.add(Thread.ofPlatform().daemon().name("rank " + rank).start(() -> run.serve(number)));
    }
    boolean allEnded = run.awaitEnd(threads);
    CommunicationException failure = network.failure();
    if (failure != null) {
      throw shown(failure, allEnded);
    }
    return run.results();
  }

  private RuntimeException shown(CommunicationException failure, boolean allEnded) {
    Throwable cause = failure.getCause();
    if (cause instanceof UserError error) {
      return error;
    }
    if (cause instanceof OutOfDeviceMemoryException error) {
      return error;
    }
    return allEnded
        ? failure
        : new CommunicationException(
            "%s%nAfter %s some ranks have still not ended:%n%s"
                .formatted(failure.getMessage(), grace, network.positions()),
            cause);
  }

  /** One call of the function on every rank. */
  private final class Run<T> {
    private final RankFunction<T> function;
    private final List<@Nullable T> results;
    private final CountDownLatch ended;

    /** Memory is given back only when no other rank can read it any more. */
    private final CountDownLatch unread = new CountDownLatch(1);

    Run(RankFunction<T> function) {
      this.function = function;
      this.results =
          Collections.synchronizedList(new ArrayList<>(Collections.nCopies(sizes.world(), null)));
      this.ended = new CountDownLatch(sizes.world());
    }

    /** The life of one rank. */
    void serve(int rank) {
      @Nullable RankContext context = null;
      try {
        context = open(rank);
        results.set(rank, function.run(context));
      } catch (Throwable e) {
        // Whatever it is, the others must hear of it, and the caller of run rethrows it.
        network.fail(rank, e);
      } finally {
        network.leave(rank);
        ended.countDown();
      }
      awaitUninterruptibly(unread);
      if (context != null) {
        context.close();
      }
    }

    private RankContext open(int rank) {
      Backend backend = devices.openBackend(rank);
      MemoryPool memory = devices.openMemory(backend);
      return new RankContext(
          sizes,
          RankContext.Coordinates.of(sizes, rank),
          RankGroups.of(sizes, network, rank),
          backend,
          memory);
    }

    /** Returns whether every rank has ended and given its memory back. */
    boolean awaitEnd(List<Thread> threads) {
      boolean all = awaitRanks();
      if (all) {
        network.close();
        unread.countDown();
        threads.forEach(LocalRanks::join);
      }
      return all;
    }

    private boolean awaitRanks() {
      try {
        while (network.failure() == null) {
          if (ended.await(100, TimeUnit.MILLISECONDS)) {
            return true;
          }
        }
        return ended.await(grace.toMillis(), TimeUnit.MILLISECONDS);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        network.fail(0, e);
        return false;
      }
    }

    List<T> results() {
      return List.copyOf(results);
    }
  }

  private static void join(Thread thread) {
    boolean interrupted = false;
    while (thread.isAlive()) {
      try {
        thread.join();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private static void awaitUninterruptibly(CountDownLatch latch) {
    boolean interrupted = false;
    while (latch.getCount() > 0) {
      try {
        latch.await();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
