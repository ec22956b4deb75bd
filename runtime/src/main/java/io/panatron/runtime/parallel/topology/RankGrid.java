package io.panatron.runtime.parallel.topology;

import io.panatron.runtime.UserError;
import java.util.AbstractList;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Numbers the ranks of a world along the parallel dimensions.
 *
 * <p>A rank's number is the sum of its coordinates times their strides; the stride of a dimension
 * is the product of the sizes of those before it. Source: Megatron-Core, parallel_state.py, {@code
 * RankGenerator} and {@code generate_masked_orthogonal_rank_groups}.
 *
 * @param dimensions all five, fastest first
 */
public record RankGrid(List<Dimension> dimensions) {
  /** A dimension's size, and how far apart neighbours along it are. */
  public record Dimension(ParallelAxis axis, int size, int stride) {}

  public RankGrid {
    dimensions = List.copyOf(dimensions);
  }

  /**
   * A grid of the given sizes; a dimension without a size has size 1.
   *
   * @throws UserError if the order leaves out a dimension whose size is not 1
   */
  public static RankGrid of(RankOrder order, Map<ParallelAxis, Integer> sizes) {
    List<ParallelAxis> axes = new ArrayList<>(order.axes());
    for (ParallelAxis axis : ParallelAxis.values()) {
      int size = sizes.getOrDefault(axis, 1);
      if (!axes.contains(axis)) {
        if (size != 1) {
          throw new UserError(
              "the size of %s is %d, but the order of ranks %s does not name it; add -%s to the order."
                  .formatted(axis.token(), size, order, axis.token()));
        }
        axes.add(axis);
      }
    }
    List<Dimension> dimensions = new ArrayList<>();
    int stride = 1;
    for (ParallelAxis axis : axes) {
      int size = sizes.getOrDefault(axis, 1);
      dimensions.add(new Dimension(axis, size, stride));
      stride = Math.multiplyExact(stride, size);
    }
    return new RankGrid(dimensions);
  }

  /** The product of all sizes. */
  public int worldSize() {
    return dimensions.getLast().size() * dimensions.getLast().stride();
  }

  public int size(ParallelAxis axis) {
    return dimension(axis).size();
  }

  /** How far apart in the world neighbours along a dimension are. */
  public int stride(ParallelAxis axis) {
    return dimension(axis).stride();
  }

  /** Where a rank stands along a dimension, from 0. */
  public int coordinate(int rank, ParallelAxis axis) {
    check(rank);
    Dimension dimension = dimension(axis);
    return rank / dimension.stride() % dimension.size();
  }

  /** The group of a rank whose members differ in these dimensions only. */
  public RankGroup group(int rank, Set<ParallelAxis> axes) {
    check(rank);
    int first = rank;
    List<RankGroup.Run> runs = new ArrayList<>(axes.size());
    for (Dimension dimension : dimensions) {
      if (axes.contains(dimension.axis())) {
        first -= rank / dimension.stride() % dimension.size() * dimension.stride();
        runs.add(new RankGroup.Run(dimension.size(), dimension.stride()));
      }
    }
    return new RankGroup(first, runs);
  }

  /** All groups whose members differ in these dimensions only, by lowest rank; made when asked. */
  public List<RankGroup> groups(Set<ParallelAxis> axes) {
    List<Dimension> others = dimensions.stream().filter(d -> !axes.contains(d.axis())).toList();
    int count = others.stream().mapToInt(Dimension::size).reduce(1, (a, b) -> a * b);
    return new AbstractList<>() {
      @Override
      public RankGroup get(int index) {
        int first = 0;
        int rest = index;
        for (Dimension dimension : others) {
          first += rest % dimension.size() * dimension.stride();
          rest /= dimension.size();
        }
        if (index < 0 || rest != 0) {
          throw new IndexOutOfBoundsException("group " + index + " of " + count);
        }
        return group(first, axes);
      }

      @Override
      public int size() {
        return count;
      }
    };
  }

  private Dimension dimension(ParallelAxis axis) {
    for (Dimension dimension : dimensions) {
      if (dimension.axis() == axis) {
        return dimension;
      }
    }
    throw new IllegalStateException("grid without " + axis);
  }

  private void check(int rank) {
    if (rank < 0 || rank >= worldSize()) {
      throw new IndexOutOfBoundsException("rank " + rank + " of " + worldSize());
    }
  }
}
