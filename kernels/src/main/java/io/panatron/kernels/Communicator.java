package io.panatron.kernels;

/**
 * Collectives among the ranks of one group. Every rank of the group calls the same collectives in
 * the same order with tensors of the same shape and dtype.
 */
public interface Communicator extends AutoCloseable {
  /** This rank's place in the group, from 0. */
  int rank();

  /** How many ranks the group has. */
  int size();

  /** Replaces {@code x} on every rank by the reduction over all ranks. */
  void allReduce(Tensor x, Reduction reduction);

  /** Reduces one host number over all ranks; for losses, token counts and norms. */
  double allReduce(double value, Reduction reduction);

  /** Overwrites {@code x} on every rank with the values of {@code root}. */
  void broadcast(Tensor x, int root);

  /** Writes the ranks' {@code part} one after another, in rank order, into {@code whole}. */
  void allGather(Tensor part, Tensor whole);

  /** Sums {@code whole} over the ranks and leaves this rank's equal share of it in {@code part}. */
  void reduceScatter(Tensor whole, Tensor part);

  /** Returns when every rank has arrived. */
  void barrier();

  @Override
  void close();
}
