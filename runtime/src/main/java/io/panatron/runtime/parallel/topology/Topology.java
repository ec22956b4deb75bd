package io.panatron.runtime.parallel.topology;

import java.util.AbstractList;
import java.util.ArrayList;
import java.util.List;

/**
 * Which ranks form which groups. Any one group is computed by itself, whatever the world's size.
 *
 * @param sizes of the world
 */
public record Topology(ParallelSizes sizes) {
  /**
   * The group of a kind that a rank belongs to.
   *
   * <p>Of the kinds at the ends of a pipeline it is the group of the rank's pipeline: its first and
   * last stage (one rank if that is the same), or its first alone. The rank may then lie outside.
   */
  public RankGroup group(GroupKind kind, int rank) {
    return ends(kind, grid(kind).group(rank, kind.axes()));
  }

  /** All groups of a kind, by lowest rank; each is made when it is asked for. */
  public List<RankGroup> groups(GroupKind kind) {
    List<RankGroup> whole = grid(kind).groups(kind.axes());
    return new AbstractList<>() {
      @Override
      public RankGroup get(int index) {
        return ends(kind, whole.get(index));
      }

      @Override
      public int size() {
        return whole.size();
      }
    };
  }

  /** The numbering of the ranks that the groups of a kind follow. */
  public RankGrid grid(GroupKind kind) {
    return kind.expert() ? sizes.expertGrid() : sizes.denseGrid();
  }

  private static RankGroup ends(GroupKind kind, RankGroup group) {
    if (!kind.endsOfPipeline()) {
      return group;
    }
    List<RankGroup.Run> runs = new ArrayList<>();
    int last = group.rank(group.size() - 1);
    if (kind == GroupKind.EMBEDDING && last > group.first()) {
      runs.add(new RankGroup.Run(2, last - group.first()));
    }
    return new RankGroup(group.first(), runs);
  }
}
