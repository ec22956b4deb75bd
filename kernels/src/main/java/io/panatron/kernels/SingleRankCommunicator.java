package io.panatron.kernels;

import java.util.Arrays;
import java.util.List;

/** The communicator of a group of one rank: every collective is the identity. */
public final class SingleRankCommunicator implements Communicator {
  private final Backend backend;

  /** {@code backend} does the copies between tensors that differ. */
  public SingleRankCommunicator(Backend backend) {
    this.backend = backend;
  }

  @Override
  public int rank() {
    return 0;
  }

  @Override
  public int size() {
    return 1;
  }

  @Override
  public Work startAllReduce(Tensor x, Reduction reduction) {
    return Work.DONE;
  }

  @Override
  public Work startBroadcast(Tensor x, int root) {
    requireSelf(root);
    return Work.DONE;
  }

  @Override
  public Work startAllGather(Tensor part, Tensor whole) {
    return copy(part, whole);
  }

  @Override
  public Work startReduceScatter(Tensor whole, Tensor part, Reduction reduction) {
    return copy(whole, part);
  }

  @Override
  public Work startAllToAll(Tensor send, long[] sendRows, Tensor receive, long[] receiveRows) {
    if (!Arrays.equals(sendRows, receiveRows) || sendRows.length != 1) {
      throw new IllegalArgumentException(
          "one rank sends "
              + Arrays.toString(sendRows)
              + " to itself and expects "
              + Arrays.toString(receiveRows));
    }
    return copy(send, receive);
  }

  private Work copy(Tensor from, Tensor to) {
    if (from.address() != to.address()) {
      backend.copy(from, to);
    }
    return Work.DONE;
  }

  @Override
  public Work startSend(Tensor x, int to, int tag) {
    throw new IllegalArgumentException("a group of one rank has nobody to send to");
  }

  @Override
  public Work startReceive(Tensor x, int from, int tag) {
    throw new IllegalArgumentException("a group of one rank has nobody to receive from");
  }

  @Override
  public double allReduce(double value, Reduction reduction) {
    return value;
  }

  @Override
  public List<byte[]> allGather(byte[] part) {
    return List.of(part.clone());
  }

  @Override
  public byte[] broadcast(byte[] bytes, int root) {
    requireSelf(root);
    return bytes.clone();
  }

  private static void requireSelf(int root) {
    if (root != 0) {
      throw new IllegalArgumentException("root " + root + " in a group of one rank");
    }
  }

  @Override
  public void barrier() {}

  @Override
  public Traffic traffic() {
    return Traffic.NONE;
  }

  @Override
  public void close() {}
}
