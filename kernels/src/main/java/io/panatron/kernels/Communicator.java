package io.panatron.kernels;

import java.util.Arrays;
import java.util.List;

/**
 * Exchange among the ranks of one group. Every rank of the group calls the same collectives in the
 * same order with tensors of the same shape and dtype; messages between two ranks match by tag, in
 * the order in which they were sent.
 *
 * <p><b>Dtypes</b>: every dtype can be moved; F64, F32, BF16 and F16 can be reduced. Sums of BF16
 * and F16 are taken in F32 and rounded once.
 *
 * <p><b>Determinism</b>: a reduction adds the ranks' values in rank order, so its result has the
 * same bits on every rank and in every run.
 *
 * <p><b>Order</b>: what is started on one communicator takes effect in the order of the calls,
 * after what this rank's backend has computed before the call. A rank serves its communicators from
 * one thread.
 *
 * <p><b>Errors</b>: wrong shapes, dtypes, ranks or tags throw {@link IllegalArgumentException};
 * what cannot complete throws {@link CommunicationException} on every rank that waits for it.
 */
public interface Communicator extends AutoCloseable {
  /** This rank's place in the group, from 0. */
  int rank();

  /** How many ranks the group has. */
  int size();

  // ---- collectives ----------------------------------------------------------------------------

  /** Replaces {@code x} on every rank by the reduction over all ranks. */
  Work startAllReduce(Tensor x, Reduction reduction);

  /** Overwrites {@code x} on every rank with the values of {@code root}. */
  Work startBroadcast(Tensor x, int root);

  /**
   * Writes the ranks' {@code part} one after another, in rank order, into {@code whole}. {@code
   * part} may be this rank's share of {@code whole}.
   */
  Work startAllGather(Tensor part, Tensor whole);

  /**
   * Reduces {@code whole} over the ranks and leaves this rank's equal share of it in {@code part},
   * which may be that share of {@code whole}; the rest of {@code whole} is undefined afterwards.
   */
  Work startReduceScatter(Tensor whole, Tensor part, Reduction reduction);

  /**
   * Sends the {@code r}-th block of leading rows of {@code send} to rank {@code r} and receives the
   * blocks of all ranks, in rank order, in {@code receive}.
   *
   * @param sendRows rows for each rank, as many as {@code send} has in all
   * @param receiveRows rows from each rank; what rank {@code r} sends here must be as many
   */
  Work startAllToAll(Tensor send, long[] sendRows, Tensor receive, long[] receiveRows);

  /** {@link #startAllReduce}, waiting for the end. */
  default void allReduce(Tensor x, Reduction reduction) {
    startAllReduce(x, reduction).await();
  }

  /** {@link #startBroadcast}, waiting for the end. */
  default void broadcast(Tensor x, int root) {
    startBroadcast(x, root).await();
  }

  /** {@link #startAllGather}, waiting for the end. */
  default void allGather(Tensor part, Tensor whole) {
    startAllGather(part, whole).await();
  }

  /** {@link #startReduceScatter} with a sum, waiting for the end. */
  default void reduceScatter(Tensor whole, Tensor part) {
    startReduceScatter(whole, part, Reduction.SUM).await();
  }

  /** {@link #startAllToAll} with equal shares, waiting for the end. */
  default void allToAll(Tensor send, Tensor receive) {
    long share = send.shape().extent(0) / size();
    if (share * size() != send.shape().extent(0)) {
      throw new IllegalArgumentException(send + " does not divide into " + size() + " blocks");
    }
    long[] rows = new long[size()];
    Arrays.fill(rows, share);
    startAllToAll(send, rows, receive, rows).await();
  }

  // ---- messages -------------------------------------------------------------------------------

  /**
   * Sends {@code x} to one rank. It need not end before the other rank receives, so a pair of ranks
   * that both send first must start both and then wait.
   *
   * @param tag at least 0; told apart from other messages between the two ranks by it
   */
  Work startSend(Tensor x, int to, int tag);

  /** Receives what {@code from} sends with this tag; shape and dtype must be those sent. */
  Work startReceive(Tensor x, int from, int tag);

  /** {@link #startSend}, waiting for the end. */
  default void send(Tensor x, int to, int tag) {
    startSend(x, to, tag).await();
  }

  /** {@link #startReceive}, waiting for the end. */
  default void receive(Tensor x, int from, int tag) {
    startReceive(x, from, tag).await();
  }

  // ---- numbers and bytes of the host ------------------------------------------------------------

  /** Reduces one host number over all ranks; for losses, token counts and norms. */
  double allReduce(double value, Reduction reduction);

  /** The bytes of every rank, in rank order; they may differ in length. */
  List<byte[]> allGather(byte[] part);

  /** The bytes of {@code root}; what the others pass is not looked at. */
  byte[] broadcast(byte[] bytes, int root);

  /** Returns when every rank has arrived. */
  void barrier();

  // ---------------------------------------------------------------------------------------------

  /** What this rank has exchanged here so far. */
  Traffic traffic();

  @Override
  void close();
}
