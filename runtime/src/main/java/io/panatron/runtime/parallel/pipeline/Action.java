package io.panatron.runtime.parallel.pipeline;

import java.util.List;

/** What a rank of a pipeline does next. */
public sealed interface Action {
  /** A pass of a micro-batch through a model chunk. */
  sealed interface Pass extends Action {
    /** Number of the micro-batch in the step, from 0. */
    int microBatch();

    /** Model chunk of this rank. */
    int chunk();

    Phase phase();
  }

  /** Computes a chunk's output from its input and keeps what backward needs. */
  record Forward(int microBatch, int chunk, Phase phase) implements Pass {}

  /** Computes the gradient of a chunk's input from that of its output and frees what was kept. */
  record Backward(int microBatch, int chunk, Phase phase) implements Pass {}

  /**
   * Sends and receives all of {@code transfers} at once, and is done when all of them are.
   *
   * <p>They must be started together (as one group of NCCL, or with MPI's non-blocking calls):
   * neighbours exchange in both directions, and each blocking send would wait for the other. Where
   * sends are buffered, only the receives need to be waited for.
   *
   * <p>Both ends of every transfer stand in exchanges of the same tick, and ticks grow along each
   * rank. So exchanges complete in the order of ticks whatever the timing, even if no send returns
   * before its receive has begun: a schedule cannot deadlock.
   *
   * @param tick common number of what is exchanged at the same time
   * @param transfers at least one; between two ranks in the same order on both sides
   */
  record Exchange(int tick, List<Transfer> transfers) implements Action {
    public Exchange {
      transfers = List.copyOf(transfers);
    }
  }
}
