package io.panatron.kernels;

import java.util.HashSet;
import java.util.List;
import java.util.stream.Collectors;

/**
 * Who belongs to a group of ranks.
 *
 * @param name what messages call it, such as {@code tp}
 * @param ranks numbers in the world; the place in this list is the rank within the group
 */
public record GroupMembers(String name, List<Integer> ranks) {
  public GroupMembers {
    ranks = List.copyOf(ranks);
    if (ranks.isEmpty()
        || new HashSet<>(ranks).size() != ranks.size()
        || ranks.stream().anyMatch(rank -> rank < 0)) {
      throw new IllegalArgumentException(
          "group " + name + " needs distinct ranks from 0, not " + ranks);
    }
  }

  /** As messages name it: {@code tp {0, 1}}. */
  @Override
  public String toString() {
    return ranks.stream().map(String::valueOf).collect(Collectors.joining(", ", name + " {", "}"));
  }
}
