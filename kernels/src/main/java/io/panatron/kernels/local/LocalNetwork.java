package io.panatron.kernels.local;

import io.panatron.kernels.CommunicationException;
import io.panatron.kernels.Communicator;
import io.panatron.kernels.GroupMembers;
import io.panatron.kernels.Network;
import io.panatron.kernels.cpu.PeerReduction;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Ranks that are threads of one virtual machine and read each other's tensors.
 *
 * <p>An exchange begins when its last rank arrives. Each of its ranks then has a share of the bytes
 * to move. A rank's own thread moves the share where it waits anyway; where it computes, a second
 * thread of the rank does, so that computing goes on meanwhile. What is small is moved by whoever
 * arrives last, which costs no wake-up.
 *
 * <p>Only exchanges that everybody has begun occupy a thread, so no order among groups is needed.
 * If all ranks wait nevertheless, each waits for another, and that is reported at once.
 */
public final class LocalNetwork implements Network {
  /** Bytes; waking a thread takes as long as moving about as many. */
  private static final long SMALL = 32 << 10;

  /** Turns before a thread parks, for a peer that is about to arrive. */
  private static final int SPINS = 100;

  private final Settings settings;
  private final ReentrantLock lock = new ReentrantLock();
  private final List<LocalRank> ranks = new ArrayList<>();
  private final Map<GroupMembers, List<LocalGroup>> groups = new HashMap<>();
  private final Map<GroupMembers, int[]> opened = new HashMap<>();
  private volatile @Nullable CommunicationException failure;
  private int sharesUnderWay;
  private boolean closed;

  /** A rank's part in an exchange, done under the lock. */
  @FunctionalInterface
  interface Beginning<P extends Pending> {
    P begin() throws MismatchException;
  }

  /** A network of ranks from 0 to {@code size - 1}. */
  public LocalNetwork(int size, Settings settings) {
    if (size < 1) {
      throw new IllegalArgumentException("a network of " + size + " ranks");
    }
    this.settings = settings;
    for (int rank = 0; rank < size; rank++) {
      ranks.add(new LocalRank(rank, lock));
    }
  }

  @Override
  public int size() {
    return ranks.size();
  }

  @Override
  public Communicator open(int rank, GroupMembers members) {
    int place = members.ranks().indexOf(rank);
    if (place < 0 || members.ranks().stream().anyMatch(member -> member >= ranks.size())) {
      throw new IllegalArgumentException(
          "rank " + rank + " of " + ranks.size() + " cannot open " + members);
    }
    lock.lock();
    try {
      int[] turns = opened.computeIfAbsent(members, m -> new int[m.ranks().size()]);
      List<LocalGroup> same = groups.computeIfAbsent(members, m -> new ArrayList<>());
      int turn = turns[place]++;
      if (turn == same.size()) {
        same.add(new LocalGroup(members));
      }
      return new LocalCommunicator(this, ranks.get(rank), same.get(turn), place);
    } finally {
      lock.unlock();
    }
  }

  /** Whether operations note who called them. */
  boolean isChecked() {
    return settings.checked();
  }

  @Override
  public @Nullable CommunicationException failure() {
    return failure;
  }

  /**
   * Takes part in an exchange; if this rank is the last, it is on its way afterwards.
   *
   * @param waits whether {@link #await} follows at once, which then moves this rank's share
   */
  <P extends Pending> P begin(LocalRank rank, Beginning<P> beginning, boolean waits) {
    P pending;
    lock.lock();
    try {
      requireOpen();
      pending = beginning.begin();
      if (waits) {
        rank.waitFor(pending);
      } else {
        rank.began(pending);
      }
      if (!pending.isComplete()) {
        return pending;
      }
      pending.begin(pending.movers().size());
      sharesUnderWay += pending.movers().size();
      if (pending.isDone() || pending.bytes() > SMALL) {
        deal(pending);
        return pending;
      }
    } catch (MismatchException mismatch) {
      throw fail("the ranks do different things: " + mismatch.getMessage(), null);
    } finally {
      lock.unlock();
    }
    for (int mover : pending.movers()) {
      moveShare(pending, mover, rank.reduction());
    }
    return pending;
  }

  /** Returns when the exchange is done, moving shares of this rank meanwhile. */
  void await(LocalRank rank, Pending pending) {
    for (int spin = 0; spin < SPINS && !pending.isDone(); spin++) {
      Thread.onSpinWait();
    }
    if (pending.isDone()) {
      return;
    }
    lock.lock();
    try {
      rank.waitFor(pending);
      long deadline = System.nanoTime() + settings.timeout().toNanos();
      while (!pending.isDone()) {
        requireOpen();
        Pending share = rank.shares().poll();
        if (share == null) {
          long left = deadline - System.nanoTime();
          requireHope(rank, pending, left);
          rank.arrival().await(left, TimeUnit.NANOSECONDS);
        } else {
          moveUnlocked(share, rank);
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw fail("rank " + rank.number() + " was interrupted", e);
    } finally {
      rank.goOn();
      lock.unlock();
    }
  }

  private void moveUnlocked(Pending share, LocalRank rank) {
    lock.unlock();
    try {
      moveShare(share, rank.number(), rank.reduction());
    } finally {
      lock.lock();
    }
  }

  /** The rank is about to park; fails where that would be for ever, or too long already. */
  private void requireHope(LocalRank rank, Pending pending, long nanosLeft) {
    rank.park();
    CommunicationException standstill = failAtStandstill();
    if (standstill != null) {
      throw standstill;
    }
    if (nanosLeft <= 0) {
      throw fail(
          "rank %d has waited %s for %s"
              .formatted(rank.number(), settings.timeout(), pending.describe()),
          null);
    }
  }

  /** Fails if every rank waits and nothing is on its way, so that nothing can come any more. */
  private @Nullable CommunicationException failAtStandstill() {
    boolean standstill =
        failure == null
            && sharesUnderWay == 0
            && ranks.stream().allMatch(LocalRank::isStuck)
            && ranks.stream().anyMatch(LocalRank::isParked);
    return standstill
        ? fail("no rank can go on, since each waits for another or for one that has ended", null)
        : null;
  }

  /** Hands the shares of an exchange out, or wakes its ranks if there are none. */
  private void deal(Pending pending) {
    if (pending.isDone()) {
      wakeWaiting(pending);
      return;
    }
    for (int mover : pending.movers()) {
      LocalRank rank = ranks.get(mover);
      rank.shares().add(pending);
      if (rank.isWaiting()) {
        rank.wake();
      } else if (rank.mover() == null) {
        rank.setMover(
            Thread.ofPlatform()
                .daemon()
                .name("rank " + mover + " communication")
                .start(() -> moveMeanwhile(rank)));
      } else {
        rank.work().signal();
      }
    }
  }

  private void moveMeanwhile(LocalRank rank) {
    PeerReduction reduction = new PeerReduction();
    while (true) {
      Pending share;
      lock.lock();
      try {
        while ((share = rank.shares().poll()) == null) {
          if (closed) {
            return;
          }
          rank.work().awaitUninterruptibly();
        }
      } finally {
        lock.unlock();
      }
      moveShare(share, rank.number(), reduction);
    }
  }

  /** Moves a share without the lock; what goes wrong ends the network. */
  private void moveShare(Pending pending, int rank, PeerReduction reduction) {
    @Nullable RuntimeException thrown = null;
    try {
      pending.move(rank, reduction);
    } catch (RuntimeException e) {
      thrown = e;
    }
    lock.lock();
    try {
      sharesUnderWay--;
      if (thrown != null) {
        fail("rank %d could not move %s".formatted(rank, pending.describe()), thrown);
      } else if (pending.endShare()) {
        wakeWaiting(pending);
      }
    } finally {
      lock.unlock();
    }
  }

  private void wakeWaiting(Pending pending) {
    for (int number : pending.ranks()) {
      LocalRank rank = ranks.get(number);
      if (rank.isParked()) {
        rank.wake();
      }
    }
  }

  @Override
  public void fail(int rank, Throwable cause) {
    lock.lock();
    try {
      fail("rank " + rank + " failed: " + cause, cause);
    } finally {
      lock.unlock();
    }
  }

  /** Ends everything, unless something has before; under the lock. Returns what to throw. */
  private CommunicationException fail(String what, @Nullable Throwable cause) {
    CommunicationException first = failure;
    if (first != null) {
      return copy(first);
    }
    CommunicationException failed =
        new CommunicationException(what + "\n" + positionLines(), cause);
    failure = failed;
    for (LocalRank rank : ranks) {
      sharesUnderWay -= rank.shares().size();
      rank.shares().clear();
      rank.wake();
    }
    return failed;
  }

  /** Each rank throws its own, whose trace shows its place. */
  private static CommunicationException copy(CommunicationException failure) {
    return new CommunicationException(String.valueOf(failure.getMessage()), failure.getCause());
  }

  private void requireOpen() {
    CommunicationException failed = failure;
    if (failed != null) {
      throw copy(failed);
    }
    if (closed) {
      throw new IllegalStateException("the network is closed");
    }
  }

  @Override
  public void leave(int rank) {
    lock.lock();
    try {
      ranks.get(rank).leave();
      failAtStandstill();
    } finally {
      lock.unlock();
    }
  }

  @Override
  public String positions() {
    lock.lock();
    try {
      return positionLines();
    } finally {
      lock.unlock();
    }
  }

  private String positionLines() {
    return ranks.stream().map(LocalRank::position).collect(Collectors.joining("\n"));
  }

  @Override
  public void close() {
    List<Thread> movers = new ArrayList<>();
    lock.lock();
    try {
      closed = true;
      for (LocalRank rank : ranks) {
        rank.work().signalAll();
        rank.wake();
        Thread mover = rank.mover();
        if (mover != null) {
          movers.add(mover);
        }
      }
    } finally {
      lock.unlock();
    }
    movers.forEach(LocalNetwork::join);
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
}
