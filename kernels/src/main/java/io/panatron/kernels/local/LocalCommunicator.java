package io.panatron.kernels.local;

import io.panatron.kernels.Communicator;
import io.panatron.kernels.Reduction;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.Traffic;
import io.panatron.kernels.Traffic.Kind;
import io.panatron.kernels.Work;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/** One rank's view of a group of a {@link LocalNetwork}. */
final class LocalCommunicator implements Communicator {
  private static final String KERNELS = "io.panatron.kernels.";

  private final LocalNetwork network;
  private final LocalRank self;
  private final LocalGroup group;
  private final int rank;
  private final Map<Kind, Long> calls = new EnumMap<>(Kind.class);
  private final Map<Kind, Long> bytes = new EnumMap<>(Kind.class);
  private boolean closed;

  LocalCommunicator(LocalNetwork network, LocalRank self, LocalGroup group, int rank) {
    this.network = network;
    this.self = self;
    this.group = group;
    this.rank = rank;
  }

  @Override
  public int rank() {
    return rank;
  }

  @Override
  public int size() {
    return group.members().ranks().size();
  }

  @Override
  public Work startAllReduce(Tensor x, Reduction reduction) {
    return start(Kind.ALL_REDUCE, checkedAllReduce(x, reduction));
  }

  @Override
  public void allReduce(Tensor x, Reduction reduction) {
    run(Kind.ALL_REDUCE, checkedAllReduce(x, reduction));
  }

  private static Collective checkedAllReduce(Tensor x, Reduction reduction) {
    Collective.requireReducible("all-reduce", x.dtype());
    return new Collective.AllReduce(x, reduction);
  }

  @Override
  public Work startBroadcast(Tensor x, int root) {
    return start(Kind.BROADCAST, checkedBroadcast(x, root));
  }

  @Override
  public void broadcast(Tensor x, int root) {
    run(Kind.BROADCAST, checkedBroadcast(x, root));
  }

  private Collective checkedBroadcast(Tensor x, int root) {
    requireMember("broadcast", root);
    return new Collective.Broadcast(x, root);
  }

  @Override
  public Work startAllGather(Tensor part, Tensor whole) {
    return start(Kind.ALL_GATHER, checkedAllGather(part, whole));
  }

  @Override
  public void allGather(Tensor part, Tensor whole) {
    run(Kind.ALL_GATHER, checkedAllGather(part, whole));
  }

  private Collective checkedAllGather(Tensor part, Tensor whole) {
    requireShare("all-gather", part, whole);
    return new Collective.AllGather(part, whole);
  }

  @Override
  public Work startReduceScatter(Tensor whole, Tensor part, Reduction reduction) {
    return start(Kind.REDUCE_SCATTER, checkedReduceScatter(whole, part, reduction));
  }

  @Override
  public void reduceScatter(Tensor whole, Tensor part) {
    run(Kind.REDUCE_SCATTER, checkedReduceScatter(whole, part, Reduction.SUM));
  }

  private Collective checkedReduceScatter(Tensor whole, Tensor part, Reduction reduction) {
    Collective.requireReducible("reduce-scatter", whole.dtype());
    requireShare("reduce-scatter", part, whole);
    return new Collective.ReduceScatter(whole, part, reduction);
  }

  @Override
  public Work startAllToAll(Tensor send, long[] sendRows, Tensor receive, long[] receiveRows) {
    requireRows("sends", send, sendRows);
    requireRows("receives", receive, receiveRows);
    if (send.dtype() != receive.dtype()
        || !send.shape().withLeading(0).equals(receive.shape().withLeading(0))
        || Collective.overlap(send, receive)) {
      throw new IllegalArgumentException(
          "all-to-all: %s and %s must have rows of one kind and not overlap"
              .formatted(send, receive));
    }
    return start(
        Kind.ALL_TO_ALL,
        new Collective.AllToAll(
            send,
            Arrays.stream(sendRows).boxed().toList(),
            receive,
            Arrays.stream(receiveRows).boxed().toList()));
  }

  @Override
  public Work startSend(Tensor x, int to, int tag) {
    requirePeer("send", to, tag);
    requireUnclosed();
    count(Kind.SEND, x.bytes());
    return work(network.begin(self, () -> group.send(x, rank, to, tag), false));
  }

  @Override
  public Work startReceive(Tensor x, int from, int tag) {
    requirePeer("receive", from, tag);
    requireUnclosed();
    count(Kind.RECEIVE, x.bytes());
    return work(network.begin(self, () -> group.receive(x, from, rank, tag), false));
  }

  @Override
  public double allReduce(double value, Reduction reduction) {
    double result = Double.NaN;
    boolean first = true;
    for (Collective call : exchange(new Collective.HostReduce(value, reduction))) {
      double other = ((Collective.HostReduce) call).value();
      if (first) {
        result = other;
        first = false;
      } else {
        result =
            switch (reduction) {
              case SUM -> result + other;
              case MAX -> Math.max(result, other);
            };
      }
    }
    return result;
  }

  @Override
  public List<byte[]> allGather(byte[] part) {
    return exchange(new Collective.HostGather(part.clone())).stream()
        .map(call -> ((Collective.HostGather) call).part().clone())
        .toList();
  }

  @Override
  public byte[] broadcast(byte[] bytes, int root) {
    requireMember("broadcast", root);
    Collective ofRoot =
        exchange(new Collective.HostBroadcast(rank == root ? bytes.clone() : new byte[0], root))
            .get(root);
    return ((Collective.HostBroadcast) ofRoot).content().clone();
  }

  @Override
  public void barrier() {
    exchange(new Collective.Barrier());
  }

  @Override
  public Traffic traffic() {
    return new Traffic(calls, bytes);
  }

  @Override
  public void close() {
    closed = true;
  }

  private Work start(Kind kind, Collective call) {
    requireUnclosed();
    count(kind, call.bytes());
    return work(begin(call, false));
  }

  /** As {@link #start} and waiting for the end, but without the help of the rank's other thread. */
  private void run(Kind kind, Collective call) {
    requireUnclosed();
    count(kind, call.bytes());
    network.await(self, begin(call, true));
  }

  private List<Collective> exchange(Collective call) {
    requireUnclosed();
    Gathering gathering = begin(call, true);
    network.await(self, gathering);
    return gathering.calls();
  }

  private Gathering begin(Collective call, boolean waits) {
    String origin = network.isChecked() ? origin() : "";
    return network.begin(self, () -> group.collective(rank, call, origin), waits);
  }

  private Work work(Pending pending) {
    return new Work() {
      @Override
      public void await() {
        network.await(self, pending);
      }

      @Override
      public boolean isDone() {
        return pending.isDone() || network.failure() != null;
      }
    };
  }

  private void count(Kind kind, long added) {
    calls.merge(kind, 1L, Long::sum);
    bytes.merge(kind, added, Long::sum);
  }

  /** The line outside this module that called. */
  private static String origin() {
    return StackWalker.getInstance()
        .walk(frames ->
            frames
                .filter(frame -> !frame.getClassName().startsWith(KERNELS))
                .findFirst()
                .map(frame -> " (at " + frame.toStackTraceElement() + ")")
                .orElse(""));
  }

  private void requireUnclosed() {
    if (closed) {
      throw new IllegalStateException("the communicator of " + group.members() + " is closed");
    }
  }

  private void requireMember(String operation, int member) {
    if (member < 0 || member >= size()) {
      throw new IllegalArgumentException(
          "%s: rank %d in %s of %d ranks".formatted(operation, member, group.members(), size()));
    }
  }

  private void requirePeer(String operation, int peer, int tag) {
    requireMember(operation, peer);
    if (peer == rank || tag < 0) {
      throw new IllegalArgumentException(
          "%s: to or from rank %d by rank %d with tag %d".formatted(operation, peer, rank, tag));
    }
  }

  /** A part may be this rank's share of the whole, and else must lie apart. */
  private void requireShare(String operation, Tensor part, Tensor whole) {
    if (part.dtype() != whole.dtype() || part.elements() * size() != whole.elements()) {
      throw new IllegalArgumentException(
          "%s: %s is not one of %d shares of %s".formatted(operation, part, size(), whole));
    }
    if (part.address() != whole.address() + rank * part.bytes()
        && Collective.overlap(part, whole)) {
      throw new IllegalArgumentException(
          "%s: %s overlaps %s, but is not the share of rank %d"
              .formatted(operation, part, whole, rank));
    }
  }

  private void requireRows(String does, Tensor x, long[] rows) {
    if (x.shape().rank() == 0
        || rows.length != size()
        || Arrays.stream(rows).anyMatch(count -> count < 0)
        || Arrays.stream(rows).sum() != x.shape().extent(0)) {
      throw new IllegalArgumentException(
          "all-to-all: rank %d %s %s as rows %s for %d ranks"
              .formatted(rank, does, x, Arrays.toString(rows), size()));
    }
  }
}
