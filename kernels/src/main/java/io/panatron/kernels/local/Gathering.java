package io.panatron.kernels.local;

import io.panatron.kernels.GroupMembers;
import io.panatron.kernels.cpu.PeerReduction;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** A collective operation of a group: the calls of its ranks, as they arrive. */
final class Gathering extends Pending {
  private final GroupMembers group;
  private final long number;
  private final List<@Nullable Collective> calls;
  private final List<String> origins;
  private int arrived;

  /**
   * An operation that nobody has called yet.
   *
   * @param number which of the group's collectives it is, from 1
   */
  Gathering(GroupMembers group, long number) {
    this.group = group;
    this.number = number;
    calls = new ArrayList<>(Collections.nCopies(group.ranks().size(), null));
    origins = new ArrayList<>(Collections.nCopies(group.ranks().size(), ""));
  }

  /**
   * Adds the call of one rank.
   *
   * @param origin the line of code behind it, or nothing
   * @throws MismatchException if it does not fit to the others
   */
  void arrive(int rank, Collective call, String origin) throws MismatchException {
    for (int other = 0; other < calls.size(); other++) {
      Collective present = calls.get(other);
      if (present != null && !present.signature().equals(call.signature())) {
        throw new MismatchException(
            "as number %d of %s, rank %d calls %s%s, but rank %d %s%s"
                .formatted(
                    number,
                    group,
                    group.ranks().get(other),
                    present.signature(),
                    origins.get(other),
                    group.ranks().get(rank),
                    call.signature(),
                    origin));
      }
    }
    calls.set(rank, call);
    origins.set(rank, origin);
    arrived++;
    if (isComplete()) {
      String conflict = call.conflict(calls());
      if (conflict != null) {
        throw new MismatchException(describe() + ": " + conflict);
      }
    }
  }

  @Override
  boolean isComplete() {
    return arrived == calls.size();
  }

  /** The calls of all ranks, in rank order, once complete. */
  List<Collective> calls() {
    return calls.stream().map(Objects::requireNonNull).toList();
  }

  @Override
  String describe() {
    for (int rank = 0; rank < calls.size(); rank++) {
      Collective call = calls.get(rank);
      if (call != null) {
        return "%s, number %d of %s%s"
            .formatted(call.signature(), number, group, origins.get(rank));
      }
    }
    return "number " + number + " of " + group;
  }

  @Override
  List<Integer> ranks() {
    return group.ranks();
  }

  @Override
  List<Integer> missing() {
    List<Integer> missing = new ArrayList<>();
    for (int rank = 0; rank < calls.size(); rank++) {
      if (calls.get(rank) == null) {
        missing.add(group.ranks().get(rank));
      }
    }
    return missing;
  }

  @Override
  List<Integer> movers() {
    return calls().getFirst().moves() && bytes() > 0 ? group.ranks() : List.of();
  }

  /** In all-to-all the ranks' bytes differ. */
  @Override
  long bytes() {
    return calls().stream().mapToLong(Collective::bytes).sum();
  }

  @Override
  void move(int worldRank, PeerReduction reduction) {
    int rank = group.ranks().indexOf(worldRank);
    List<Collective> all = calls();
    all.get(rank).move(rank, all, reduction);
  }
}
