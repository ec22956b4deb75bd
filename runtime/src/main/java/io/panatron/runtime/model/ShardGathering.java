package io.panatron.runtime.model;

import io.panatron.kernels.Communicator;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;

/**
 * Brings shards to the first rank of a tensor-parallel group, one tensor at a time and in the order
 * in which that rank writes them: it names a tensor, and the others send what they have of it.
 *
 * <p>Every rank lists the same tensors between {@link #begin} and the first request. The first rank
 * then calls {@link #request} as often as it likes and at last {@link #end}, while the others are
 * in {@link #serve}.
 */
final class ShardGathering {
  private static final int FIRST = 0;
  private static final int END = -1;

  private final Communicator group;
  private final List<Runnable> senders = new ArrayList<>();

  ShardGathering(Communicator group) {
    this.group = group;
  }

  Communicator group() {
    return group;
  }

  boolean isFirst() {
    return group.rank() == FIRST;
  }

  /** Forgets the tensors of the last time. */
  void begin() {
    senders.clear();
  }

  /**
   * Lists a tensor.
   *
   * @param sender sends this rank's pieces of it to the first rank
   * @return its number
   */
  int add(Runnable sender) {
    senders.add(sender);
    return senders.size() - 1;
  }

  /** Has the others send their pieces of a tensor. */
  void request(int number) {
    group.broadcast(bytes(number), FIRST);
  }

  /** Lets the others go on; they wait for it even where writing failed. */
  void end() {
    group.broadcast(bytes(END), FIRST);
  }

  /** Sends what the first rank asks for, until it needs no more. */
  void serve() {
    while (true) {
      int number = ByteBuffer.wrap(group.broadcast(new byte[0], FIRST)).getInt();
      if (number == END) {
        return;
      }
      senders.get(number).run();
    }
  }

  private static byte[] bytes(int number) {
    return ByteBuffer.allocate(Integer.BYTES).putInt(number).array();
  }
}
