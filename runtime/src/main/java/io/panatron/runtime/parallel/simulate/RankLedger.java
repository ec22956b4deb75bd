package io.panatron.runtime.parallel.simulate;

import io.panatron.runtime.parallel.pipeline.Action;
import io.panatron.runtime.parallel.pipeline.Schedule;
import io.panatron.runtime.parallel.pipeline.Transfer;
import java.util.BitSet;

/**
 * What a rank has computed and received, and whether it may do what it does next. Bits stand for
 * micro-batches times chunks.
 */
final class RankLedger {
  private final Schedule schedule;
  private final int rank;
  private final BitSet forward = new BitSet();
  private final BitSet backward = new BitSet();
  private final BitSet inputs = new BitSet();
  private final BitSet gradients = new BitSet();
  private int kept;
  private int mostKept;

  RankLedger(Schedule schedule, int rank) {
    this.schedule = schedule;
    this.rank = rank;
  }

  int mostKept() {
    return mostKept;
  }

  void pass(Action.Pass pass) {
    int work = work(pass.microBatch(), pass.chunk());
    switch (pass) {
      case Action.Forward f -> {
        check(!forward.get(work), f, "comes twice");
        boolean first = rank == 0 && f.chunk() == 0;
        check(first || inputs.get(work), f, "has not received its input");
        forward.set(work);
        keep();
      }
      case Action.Backward b -> {
        check(forward.get(work), b, "comes before its forward pass");
        check(!backward.get(work), b, "comes twice");
        boolean last = rank == schedule.pipeline() - 1 && b.chunk() == schedule.chunks() - 1;
        check(last || gradients.get(work), b, "has not received its gradient");
        backward.set(work);
        kept--;
      }
    }
  }

  private void keep() {
    if (!schedule.forwardOnly()) {
      kept++;
      mostKept = Math.max(mostKept, kept);
    }
  }

  /** What is sent must have been computed, what is received must be new. */
  void transfer(Transfer transfer) {
    int work = work(transfer.microBatch(), transfer.chunk());
    switch (transfer.kind()) {
      case SEND_FORWARD -> check(forward.get(work), transfer, "has not been computed");
      case SEND_BACKWARD -> check(backward.get(work), transfer, "has not been computed");
      case RECEIVE_FORWARD -> check(!inputs.get(work), transfer, "comes twice");
      case RECEIVE_BACKWARD -> check(!gradients.get(work), transfer, "comes twice");
    }
  }

  void received(Transfer transfer) {
    BitSet bits = transfer.kind().isForward() ? inputs : gradients;
    bits.set(work(transfer.microBatch(), transfer.chunk()));
  }

  /** Everything is computed once, and no more activations were kept than the schedule says. */
  void finish() {
    int passes = schedule.passes();
    int backwardPasses = schedule.forwardOnly() ? 0 : passes;
    if (forward.cardinality() != passes || backward.cardinality() != backwardPasses) {
      throw new ScheduleViolation(
          "rank %d ends after %d of %d forward and %d of %d backward passes"
              .formatted(
                  rank, forward.cardinality(), passes, backward.cardinality(), backwardPasses));
    }
    if (mostKept > schedule.activationBound(rank)) {
      throw new ScheduleViolation(
          "rank %d keeps activations of %d micro-batches, more than %d"
              .formatted(rank, mostKept, schedule.activationBound(rank)));
    }
  }

  private int work(int microBatch, int chunk) {
    if (microBatch < 0
        || microBatch >= schedule.microBatches()
        || chunk < 0
        || chunk >= schedule.chunks()) {
      throw new ScheduleViolation(
          "rank %d knows no micro-batch %d of chunk %d".formatted(rank, microBatch, chunk));
    }
    return microBatch * schedule.chunks() + chunk;
  }

  private void check(boolean holds, Object action, String problem) {
    if (!holds) {
      throw new ScheduleViolation("on rank %d, %s %s".formatted(rank, action, problem));
    }
  }
}
