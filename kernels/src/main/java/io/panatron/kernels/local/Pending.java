package io.panatron.kernels.local;

import io.panatron.kernels.cpu.PeerReduction;
import java.util.List;

/**
 * An exchange that some of its ranks have begun. Everything but {@link #move} and {@link #isDone}
 * is called under the network's lock.
 */
abstract class Pending {
  private int sharesLeft;
  private volatile boolean done;

  /** What it is, for messages. */
  abstract String describe();

  /** World ranks that take part. */
  abstract List<Integer> ranks();

  /** World ranks that have not begun it yet. */
  abstract List<Integer> missing();

  /** Whether everybody has begun it. */
  abstract boolean isComplete();

  /** World ranks that have a share in moving the bytes; none where no bytes move. Once complete. */
  abstract List<Integer> movers();

  /** Bytes that are read, by which the network decides whether sharing pays. Once complete. */
  abstract long bytes();

  /** Moves the share of one of {@link #movers}; runs without the lock, once everybody is there. */
  abstract void move(int worldRank, PeerReduction reduction);

  /** Whether the results are there. */
  final boolean isDone() {
    return done;
  }

  final void begin(int shares) {
    sharesLeft = shares;
    done = shares == 0;
  }

  /** Returns whether it was the last share. */
  final boolean endShare() {
    sharesLeft--;
    done = sharesLeft == 0;
    return done;
  }
}
