package io.panatron.kernels.local;

import io.panatron.kernels.GroupMembers;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.cpu.PeerReduction;
import io.panatron.kernels.host.HostMemory;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** One message between two ranks: the receiver reads the sender's tensor. */
final class Transfer extends Pending {
  private final GroupMembers group;
  private final int from;
  private final int to;
  private final int tag;
  private @Nullable Tensor sent;
  private @Nullable Tensor received;

  /** Ranks are those of the world. */
  Transfer(GroupMembers group, int from, int to, int tag) {
    this.group = group;
    this.from = from;
    this.to = to;
    this.tag = tag;
  }

  /** The sender arrives. */
  void send(Tensor x) throws MismatchException {
    sent = x;
    requireEqual();
  }

  /** The receiver arrives. */
  void receive(Tensor x) throws MismatchException {
    received = x;
    requireEqual();
  }

  @Override
  boolean isComplete() {
    return sent != null && received != null;
  }

  private void requireEqual() throws MismatchException {
    Tensor source = sent;
    Tensor target = received;
    if (source != null
        && target != null
        && (source.dtype() != target.dtype() || !source.shape().equals(target.shape()))) {
      throw new MismatchException(
          "rank %d sends %s to rank %d (tag %d of %s), which expects %s"
              .formatted(from, source, to, tag, group, target));
    }
  }

  @Override
  String describe() {
    Tensor known = sent == null ? received : sent;
    return "message %s from %d to %d, tag %d of %s".formatted(known, from, to, tag, group);
  }

  @Override
  List<Integer> ranks() {
    return List.of(from, to);
  }

  @Override
  List<Integer> missing() {
    List<Integer> missing = new ArrayList<>();
    if (sent == null) {
      missing.add(from);
    }
    if (received == null) {
      missing.add(to);
    }
    return missing;
  }

  @Override
  List<Integer> movers() {
    return bytes() > 0 ? List.of(to) : List.of();
  }

  @Override
  long bytes() {
    return Objects.requireNonNull(sent).bytes();
  }

  @Override
  void move(int worldRank, PeerReduction reduction) {
    Tensor source = Objects.requireNonNull(sent);
    HostMemory.of(Objects.requireNonNull(received)).copyFrom(HostMemory.of(source));
  }
}
