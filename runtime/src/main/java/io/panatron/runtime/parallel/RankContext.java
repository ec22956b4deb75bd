package io.panatron.runtime.parallel;

import io.panatron.kernels.Backend;
import io.panatron.kernels.MemoryPool;
import io.panatron.kernels.SingleRankCommunicator;
import io.panatron.runtime.parallel.topology.ParallelAxis;
import io.panatron.runtime.parallel.topology.ParallelSizes;
import io.panatron.runtime.parallel.topology.RankGrid;

/**
 * A rank: its coordinates, its groups, its device. It is handed down to whatever needs to know its
 * place; there is no global parallel state.
 *
 * @param sizes how the work is split among all ranks
 * @param coordinates this rank's place along each parallel dimension
 * @param groups communicators of the groups it belongs to
 * @param backend computes for this rank
 * @param memory all device memory of this rank
 */
public record RankContext(
    ParallelSizes sizes,
    Coordinates coordinates,
    RankGroups groups,
    Backend backend,
    MemoryPool memory)
    implements AutoCloseable {
  public RankContext {
    int rank = groups.world().rank();
    if (sizes.world() != groups.world().size()
        || !coordinates.equals(Coordinates.of(sizes, rank))) {
      throw new IllegalArgumentException(
          "rank %d of %d does not stand at %s of %s"
              .formatted(rank, groups.world().size(), coordinates, sizes));
    }
  }

  /** A rank of a world in the default order, without expert parallelism. */
  public RankContext(
      Coordinates coordinates, RankGroups groups, Backend backend, MemoryPool memory) {
    this(coordinates.sizes(), coordinates, groups, backend, memory);
  }

  /**
   * A rank's index in each parallel dimension, and that dimension's size.
   *
   * <p>Sizes multiply to the world size: tensor x context x data x pipeline.
   */
  public record Coordinates(Axis tensor, Axis context, Axis data, Axis pipeline) {
    /** The place of a run of one rank. */
    public static final Coordinates SINGLE =
        new Coordinates(Axis.SINGLE, Axis.SINGLE, Axis.SINGLE, Axis.SINGLE);

    /** The place of a rank in the dense layers. */
    public static Coordinates of(ParallelSizes sizes, int rank) {
      RankGrid grid = sizes.denseGrid();
      return new Coordinates(
          Axis.of(grid, rank, ParallelAxis.TENSOR),
          Axis.of(grid, rank, ParallelAxis.CONTEXT),
          Axis.of(grid, rank, ParallelAxis.DATA),
          Axis.of(grid, rank, ParallelAxis.PIPELINE));
    }

    private ParallelSizes sizes() {
      return ParallelSizes.ofWorld(worldSize())
          .tensor(tensor.size())
          .context(context.size())
          .pipeline(pipeline.size())
          .build();
    }

    public int worldSize() {
      return tensor.size() * context.size() * data.size() * pipeline.size();
    }
  }

  /**
   * A rank's index and size in each parallel dimension of the expert layers.
   *
   * <p>Sizes multiply to the world size: tensor x expert x data x pipeline.
   */
  public record ExpertCoordinates(Axis tensor, Axis expert, Axis data, Axis pipeline) {
    /** The place of a rank in the expert layers. */
    public static ExpertCoordinates of(ParallelSizes sizes, int rank) {
      RankGrid grid = sizes.expertGrid();
      return new ExpertCoordinates(
          Axis.of(grid, rank, ParallelAxis.TENSOR),
          Axis.of(grid, rank, ParallelAxis.EXPERT),
          Axis.of(grid, rank, ParallelAxis.DATA),
          Axis.of(grid, rank, ParallelAxis.PIPELINE));
    }
  }

  /** A place along one dimension. */
  public record Axis(int index, int size) {
    static final Axis SINGLE = new Axis(0, 1);

    public Axis {
      if (index < 0 || index >= size) {
        throw new IllegalArgumentException("index " + index + " of " + size);
      }
    }

    private static Axis of(RankGrid grid, int rank, ParallelAxis axis) {
      return new Axis(grid.coordinate(rank, axis), grid.size(axis));
    }
  }

  /** The context of a run of one rank; closing it closes the pool and the backend. */
  public static RankContext single(Backend backend, MemoryPool memory) {
    RankGroups alone = RankGroups.alone(new SingleRankCommunicator(backend));
    return new RankContext(ParallelSizes.SINGLE, Coordinates.SINGLE, alone, backend, memory);
  }

  /** This rank's place in the expert layers. */
  public ExpertCoordinates expertCoordinates() {
    return ExpertCoordinates.of(sizes, rank());
  }

  /** The rank's number in the world. */
  public int rank() {
    return groups.world().rank();
  }

  /** Whether this rank speaks for all: it writes the log and the terminal. */
  public boolean isMain() {
    return groups.world().rank() == 0;
  }

  @Override
  public void close() {
    groups.close();
    memory.close();
    backend.close();
  }
}
