package io.panatron.kernels;

import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * The ranks of a run and what lies between them: opens the communicators of their groups, and ends
 * all ranks when one fails.
 *
 * <p>Any thread may call it.
 */
public interface Network extends AutoCloseable {
  /**
   * How a network watches over what it carries.
   *
   * @param timeout how long a rank waits before it gives up and every rank's position is reported
   * @param checked whether each operation is compared among the ranks and remembered with the line
   *     of code that called it
   */
  record Settings(Duration timeout, boolean checked) {
    public Settings {
      if (!timeout.isPositive()) {
        throw new IllegalArgumentException("a timeout of " + timeout);
      }
    }
  }

  /** How many ranks there are. */
  int size();

  /**
   * One rank's communicator of a group. Every member opens its own; members that open the same
   * group several times get one communicator more each time, and must do so in the same order.
   *
   * @param rank number in the world, a member of the group
   */
  Communicator open(int rank, GroupMembers group);

  /**
   * Ends every rank: what waits now or later throws a {@link CommunicationException} that names
   * this rank, the cause, and where every other rank stood. Only the first failure counts.
   */
  void fail(int rank, Throwable cause);

  /** A rank has done its work; whoever still waits for it fails. */
  void leave(int rank);

  /** Why everything ended; null while nothing has failed. */
  @Nullable CommunicationException failure();

  /** Where every rank stands, a line for each. */
  String positions();

  /** Ends the network's own threads; communicators of a closed network throw. */
  @Override
  void close();
}
