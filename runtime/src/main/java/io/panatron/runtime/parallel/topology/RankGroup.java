package io.panatron.runtime.parallel.topology;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * The ranks of one group, in the group's order, which is also ascending.
 *
 * <p>Kept as nested arithmetic progressions, so that a group of any size costs nothing to make:
 * member {@code i} is {@code first} plus the digits of {@code i} times the strides of {@code runs},
 * the first of which is the fastest. Equal groups have equal runs.
 *
 * @param first the lowest rank
 * @param runs progressions from the inner to the outer; neighbours that join are joined
 */
public record RankGroup(int first, List<Run> runs) {
  /** A progression of {@code size} members, {@code stride} apart. */
  public record Run(int size, int stride) {
    public Run {
      if (size < 1 || stride < 1) {
        throw new IllegalArgumentException("run of " + size + " with stride " + stride);
      }
    }
  }

  public RankGroup {
    if (first < 0) {
      throw new IllegalArgumentException("rank " + first);
    }
    runs = joined(runs);
  }

  private static List<Run> joined(List<Run> runs) {
    List<Run> result = new ArrayList<>(runs.size());
    for (Run run : runs) {
      if (run.size() == 1) {
        continue;
      }
      Run inner = result.isEmpty() ? new Run(1, run.stride()) : result.getLast();
      long span = (long) inner.size() * inner.stride();
      if (run.stride() < span) {
        throw new IllegalArgumentException("runs overlap: " + runs);
      }
      if (!result.isEmpty() && run.stride() == span) {
        result.removeLast();
        result.add(new Run(inner.size() * run.size(), inner.stride()));
      } else {
        result.add(run);
      }
    }
    return List.copyOf(result);
  }

  /** How many ranks belong to the group. */
  public int size() {
    int size = 1;
    for (Run run : runs) {
      size *= run.size();
    }
    return size;
  }

  /**
   * The rank in the world of a member.
   *
   * @param index place in the group, from 0
   */
  public int rank(int index) {
    if (index < 0 || index >= size()) {
      throw new IndexOutOfBoundsException("member " + index + " of a group of " + size());
    }
    int rank = first;
    int rest = index;
    for (Run run : runs) {
      rank += rest % run.size() * run.stride();
      rest /= run.size();
    }
    return rank;
  }

  /** The place in the group of a rank, or -1 if it does not belong to it. */
  public int indexOf(int rank) {
    int rest = rank - first;
    if (rest < 0) {
      return -1;
    }
    int index = 0;
    for (Run run : runs.reversed()) {
      int digit = rest / run.stride();
      if (digit >= run.size()) {
        return -1;
      }
      index = index * run.size() + digit;
      rest -= digit * run.stride();
    }
    return rest == 0 ? index : -1;
  }

  public boolean contains(int rank) {
    return indexOf(rank) >= 0;
  }

  /** The members in order. */
  public IntStream ranks() {
    return IntStream.range(0, size()).map(this::rank);
  }

  /** The members between braces, as {@code {0, 4, 8}}. */
  @Override
  public String toString() {
    return ranks().mapToObj(Integer::toString).collect(Collectors.joining(", ", "{", "}"));
  }
}
