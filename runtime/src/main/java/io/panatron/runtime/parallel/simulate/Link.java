package io.panatron.runtime.parallel.simulate;

import io.panatron.runtime.parallel.pipeline.Transfer;
import java.util.ArrayDeque;
import org.jspecify.annotations.Nullable;

/**
 * Carries messages one way between two ranks, in order.
 *
 * <p>Without buffers a send ends when its receive does. With {@code n} buffers a send ends when it
 * has one: at once for the first {@code n} messages, then when the message {@code n} before it was
 * taken. Times follow from those of the messages before, so the order in which a simulation visits
 * ranks does not matter.
 */
final class Link {
  /**
   * One end of a transfer, at which a rank waits.
   *
   * @param tick of the exchange it belongs to
   * @param time when the exchange began
   */
  record End(RankState rank, Transfer transfer, int tick, double time, double latency) {}

  private record Message(End sent, double arrival) {}

  private final int buffers;
  private final ArrayDeque<End> sends = new ArrayDeque<>();
  private final ArrayDeque<Message> buffered = new ArrayDeque<>();
  private final ArrayDeque<Double> freed = new ArrayDeque<>();
  private int used;
  private @Nullable End receive;

  /**
   * A link.
   *
   * @param buffers 0 for none, {@link Integer#MAX_VALUE} for as many as it takes
   */
  Link(int buffers) {
    this.buffers = buffers;
  }

  void send(End end) {
    sends.add(end);
    move();
  }

  void receive(End end) {
    if (receive != null) {
      throw new ScheduleViolation(
          "rank %d receives twice in one exchange: %s"
              .formatted(end.rank().rank(), end.transfer()));
    }
    receive = end;
    move();
  }

  /** Whether everything sent was received. */
  boolean isEmpty() {
    return sends.isEmpty() && buffered.isEmpty() && receive == null;
  }

  private void move() {
    if (buffers == 0) {
      meet();
    } else {
      buffer();
      take();
    }
  }

  private void meet() {
    End from = sends.peek();
    End to = receive;
    if (from == null || to == null) {
      return;
    }
    compare(from, to);
    sends.remove();
    receive = null;
    double end = Math.max(from.time(), to.time()) + from.latency();
    from.rank().completed(from.transfer(), end);
    to.rank().completed(to.transfer(), end);
  }

  private void buffer() {
    while (buffered.size() < buffers && !sends.isEmpty()) {
      End from = sends.remove();
      double free = used < buffers ? 0 : freed.remove();
      used = Math.min(used + 1, buffers);
      double start = Math.max(from.time(), free);
      buffered.add(new Message(from, start + from.latency()));
      from.rank().completed(from.transfer(), start);
    }
  }

  private void take() {
    Message message = buffered.peek();
    End to = receive;
    if (message == null || to == null) {
      return;
    }
    compare(message.sent(), to);
    buffered.remove();
    receive = null;
    double end = Math.max(message.arrival(), to.time());
    if (buffers < Integer.MAX_VALUE) {
      freed.add(end);
    }
    to.rank().completed(to.transfer(), end);
    buffer();
  }

  private static void compare(End from, End to) {
    if (from.transfer().tag() != to.transfer().tag() || from.tick() != to.tick()) {
      throw new ScheduleViolation(
          "rank %d sends %s at tick %d where rank %d expects %s at tick %d"
              .formatted(
                  from.rank().rank(),
                  from.transfer(),
                  from.tick(),
                  to.rank().rank(),
                  to.transfer(),
                  to.tick()));
    }
  }
}
