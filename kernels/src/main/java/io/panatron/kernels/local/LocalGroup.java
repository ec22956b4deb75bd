package io.panatron.kernels.local;

import io.panatron.kernels.GroupMembers;
import io.panatron.kernels.Tensor;
import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.Map;
import java.util.Queue;

/** What a group's communicators share. All is guarded by the network's lock. */
final class LocalGroup {
  private final GroupMembers members;
  private final long[] begun;
  private final Map<Long, Gathering> open = new HashMap<>();
  private final Map<Channel, Queue<Transfer>> unreceived = new HashMap<>();
  private final Map<Channel, Queue<Transfer>> unsent = new HashMap<>();

  private record Channel(int from, int to, int tag) {}

  LocalGroup(GroupMembers members) {
    this.members = members;
    begun = new long[members.ranks().size()];
  }

  GroupMembers members() {
    return members;
  }

  /** A rank of the group takes part in its next collective. */
  Gathering collective(int rank, Collective call, String origin) throws MismatchException {
    long number = ++begun[rank];
    Gathering gathering = open.computeIfAbsent(number, n -> new Gathering(members, n));
    gathering.arrive(rank, call, origin);
    if (gathering.isComplete()) {
      open.remove(number);
    }
    return gathering;
  }

  /** Ranks are those of the group. */
  Transfer send(Tensor x, int from, int to, int tag) throws MismatchException {
    Transfer transfer = match(unsent, unreceived, new Channel(from, to, tag));
    transfer.send(x);
    return transfer;
  }

  /** Ranks are those of the group. */
  Transfer receive(Tensor x, int from, int to, int tag) throws MismatchException {
    Transfer transfer = match(unreceived, unsent, new Channel(from, to, tag));
    transfer.receive(x);
    return transfer;
  }

  /** The oldest transfer of which only this side is missing, or a new one. */
  private Transfer match(
      Map<Channel, Queue<Transfer>> begun, Map<Channel, Queue<Transfer>> other, Channel channel) {
    Queue<Transfer> waiting = begun.get(channel);
    if (waiting != null) {
      Transfer transfer = waiting.remove();
      if (waiting.isEmpty()) {
        begun.remove(channel);
      }
      return transfer;
    }
    Transfer transfer =
        new Transfer(
            members,
            members.ranks().get(channel.from()),
            members.ranks().get(channel.to()),
            channel.tag());
    other.computeIfAbsent(channel, c -> new ArrayDeque<>()).add(transfer);
    return transfer;
  }
}
