package io.panatron.runtime.parallel;

import io.panatron.kernels.Backend;
import io.panatron.kernels.MemoryPool;
import io.panatron.kernels.SingleRankCommunicator;

/**
 * A rank: its coordinates, its groups, its device. It is handed down to whatever needs to know its
 * place; there is no global parallel state.
 *
 * @param coordinates this rank's place along each parallel dimension
 * @param groups communicators of the groups it belongs to
 * @param backend computes for this rank
 * @param memory all device memory of this rank
 */
public record RankContext(
    Coordinates coordinates, RankGroups groups, Backend backend, MemoryPool memory)
    implements AutoCloseable {

  /**
   * A rank's index in each parallel dimension, and that dimension's size.
   *
   * <p>Sizes multiply to the world size: tensor x context x data x pipeline.
   */
  public record Coordinates(Axis tensor, Axis context, Axis data, Axis pipeline) {
    /** The place of a run of one rank. */
    public static final Coordinates SINGLE =
        new Coordinates(Axis.SINGLE, Axis.SINGLE, Axis.SINGLE, Axis.SINGLE);

    public int worldSize() {
      return tensor.size() * context.size() * data.size() * pipeline.size();
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
  }

  /** The context of a run of one rank; closing it closes the pool and the backend. */
  public static RankContext single(Backend backend, MemoryPool memory) {
    RankGroups alone = RankGroups.alone(new SingleRankCommunicator(backend));
    return new RankContext(Coordinates.SINGLE, alone, backend, memory);
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
