package io.panatron.runtime.parallel.pipeline;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import org.jspecify.annotations.Nullable;

/**
 * What one rank of a pipeline does during a step, in order; actions are made when asked for.
 *
 * @param schedule of the whole pipeline
 * @param rank pipeline rank
 */
public record RankSchedule(Schedule schedule, int rank) implements Iterable<Action> {
  public RankSchedule {
    if (rank < 0 || rank >= schedule.pipeline()) {
      throw new IndexOutOfBoundsException("rank " + rank + " of " + schedule.pipeline());
    }
  }

  @Override
  public Iterator<Action> iterator() {
    return new Cursor();
  }

  /** Walks the slots; a slot gives up to two passes, and one exchange after them. */
  private final class Cursor implements Iterator<Action> {
    private final PassOrder order = schedule.order();
    private final int end = schedule.slots(rank);
    private final @Nullable Action[] made = new Action[3];
    private int slot = -1;
    private int next;
    private int count;

    @Override
    public boolean hasNext() {
      while (next == count && slot < end) {
        next = 0;
        count = 0;
        add(forward());
        add(backward());
        add(exchange());
        slot = count == 0 ? afterQuiet(slot + 1) : slot + 1;
      }
      return next < count;
    }

    @Override
    public Action next() {
      Action action = hasNext() ? made[next++] : null;
      if (action == null) {
        throw new NoSuchElementException();
      }
      return action;
    }

    /**
     * Jumps from the last forward passes of this rank and the one before it to the first backward
     * passes of this rank and the next, between which many stages may have thousands of empty
     * slots.
     */
    private int afterQuiet(int candidate) {
      int lastRank = schedule.pipeline() - 1;
      int before = rank == 0 ? lastRank : rank - 1;
      int after = rank == lastRank ? 0 : rank + 1;
      int begin = schedule.forwardEnd() + Math.max(0, before - rank);
      int backward =
          Math.min(schedule.backwardBegin(rank), schedule.backwardBegin(after) + after - rank);
      return candidate >= begin && candidate < backward ? backward : candidate;
    }

    private void add(@Nullable Action action) {
      if (action != null) {
        made[count++] = action;
      }
    }

    private @Nullable Action forward() {
      int pass = schedule.forwardIn(slot);
      if (pass < 0) {
        return null;
      }
      Phase phase =
          schedule.forwardOnly() || pass < schedule.warmup(rank) ? Phase.WARMUP : Phase.STEADY;
      return new Action.Forward(order.microBatch(pass), order.chunk(pass), phase);
    }

    private @Nullable Action backward() {
      int pass = schedule.backwardIn(rank, slot);
      if (pass < 0) {
        return null;
      }
      Phase phase =
          pass + schedule.warmup(rank) < schedule.passes() ? Phase.STEADY : Phase.COOLDOWN;
      return new Action.Backward(order.microBatch(pass), order.backwardChunk(pass), phase);
    }

    private @Nullable Action exchange() {
      int lastRank = schedule.pipeline() - 1;
      if (lastRank == 0) {
        return null;
      }
      int before = rank == 0 ? lastRank : rank - 1;
      int after = rank == lastRank ? 0 : rank + 1;
      int sentForward = schedule.forwardIn(slot);
      int sentBackward = schedule.backwardIn(rank, slot);
      int gotForward = schedule.forwardIn(slot + rank - before);
      int gotBackward = schedule.backwardIn(after, slot + rank - after);
      if ((sentForward & sentBackward & gotForward & gotBackward) == -1) {
        return null;
      }
      List<Transfer> transfers = new ArrayList<>(4);
      int lastChunk = schedule.chunks() - 1;
      if (sentForward >= 0) {
        int chunk = order.chunk(sentForward);
        if (rank < lastRank || chunk < lastChunk) {
          int microBatch = order.microBatch(sentForward);
          transfers.add(forward(Transfer.Kind.SEND_FORWARD, microBatch, chunk, chunk, after));
        }
      }
      if (sentBackward >= 0) {
        int chunk = order.backwardChunk(sentBackward);
        if (rank > 0 || chunk > 0) {
          int microBatch = order.microBatch(sentBackward);
          transfers.add(backward(Transfer.Kind.SEND_BACKWARD, microBatch, chunk, chunk, before));
        }
      }
      if (gotForward >= 0) {
        int made = order.chunk(gotForward);
        int chunk = rank == 0 ? made + 1 : made;
        if (chunk <= lastChunk) {
          int microBatch = order.microBatch(gotForward);
          transfers.add(forward(Transfer.Kind.RECEIVE_FORWARD, microBatch, chunk, made, before));
        }
      }
      if (gotBackward >= 0) {
        int made = order.backwardChunk(gotBackward);
        int chunk = rank == lastRank ? made - 1 : made;
        if (chunk >= 0) {
          int microBatch = order.microBatch(gotBackward);
          transfers.add(backward(Transfer.Kind.RECEIVE_BACKWARD, microBatch, chunk, made, after));
        }
      }
      return transfers.isEmpty() ? null : new Action.Exchange(slot + rank, transfers);
    }

    /** Tags count what is sent: by micro-batch, the sender's chunk, and direction. */
    private Transfer forward(
        Transfer.Kind kind, int microBatch, int chunk, int sendersChunk, int peer) {
      int tag = 2 * (microBatch * schedule.chunks() + sendersChunk);
      return new Transfer(kind, microBatch, chunk, peer, tag);
    }

    private Transfer backward(
        Transfer.Kind kind, int microBatch, int chunk, int sendersChunk, int peer) {
      int tag = 2 * (microBatch * schedule.chunks() + sendersChunk) + 1;
      return new Transfer(kind, microBatch, chunk, peer, tag);
    }
  }
}
