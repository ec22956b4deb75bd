package io.panatron.kernels.local;

import io.panatron.kernels.cpu.PeerReduction;
import java.util.ArrayDeque;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/** One rank as the network sees it. Everything is guarded by the network's lock. */
final class LocalRank {
  private enum State {
    COMPUTING,
    WAITING,
    LEFT
  }

  private final int number;
  private final Condition arrival;
  private final Condition work;

  /** Exchanges in which this rank has to move its share. */
  private final Queue<Pending> shares = new ArrayDeque<>();

  private final PeerReduction reduction = new PeerReduction();
  private State state = State.COMPUTING;
  private boolean parked;
  private @Nullable Pending last;
  private long since = System.nanoTime();
  private @Nullable Thread mover;

  LocalRank(int number, ReentrantLock lock) {
    this.number = number;
    this.arrival = lock.newCondition();
    this.work = lock.newCondition();
  }

  /** Its place in the world. */
  int number() {
    return number;
  }

  /** Signalled for the rank's own thread. */
  Condition arrival() {
    return arrival;
  }

  /** Signalled for the thread that moves bytes while the rank's own thread computes. */
  Condition work() {
    return work;
  }

  Queue<Pending> shares() {
    return shares;
  }

  /** Scratch memory of the rank's own thread. */
  PeerReduction reduction() {
    return reduction;
  }

  /** The thread that moves bytes meanwhile; null before there was anything to do for it. */
  @Nullable Thread mover() {
    return mover;
  }

  void setMover(Thread thread) {
    mover = thread;
  }

  /** Its thread takes part in an exchange. */
  void began(Pending pending) {
    last = pending;
    since = System.nanoTime();
  }

  /** Its thread waits for this until {@link #goOn}. */
  void waitFor(Pending pending) {
    last = pending;
    since = System.nanoTime();
    state = State.WAITING;
  }

  void goOn() {
    since = System.nanoTime();
    state = State.COMPUTING;
    parked = false;
  }

  void leave() {
    since = System.nanoTime();
    state = State.LEFT;
  }

  /** Whether its thread waits for others, or moves shares until they come. */
  boolean isWaiting() {
    return state == State.WAITING;
  }

  /** Its thread has nothing to do until it is woken. */
  void park() {
    parked = true;
  }

  void wake() {
    parked = false;
    arrival.signal();
  }

  /** Whether nothing can be expected from its thread unless another rank does something. */
  boolean isStuck() {
    return parked || state == State.LEFT;
  }

  boolean isParked() {
    return parked;
  }

  /** A line about where it stands. */
  String position() {
    double seconds = (System.nanoTime() - since) / 1e9;
    String what = last == null ? "none" : last.describe();
    String line =
        switch (state) {
          case WAITING -> {
            List<Integer> missing = last == null ? List.of() : last.missing();
            yield "waits since %.1f s for %s%s"
                .formatted(seconds, what, missing.isEmpty() ? "" : "; not there: " + missing);
          }
          case COMPUTING -> "computes since %.1f s; last exchange: %s".formatted(seconds, what);
          case LEFT -> "ended %.1f s ago; last exchange: %s".formatted(seconds, what);
        };
    return "rank " + number + " " + line;
  }
}
