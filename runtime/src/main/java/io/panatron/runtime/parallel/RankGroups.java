package io.panatron.runtime.parallel;

import io.panatron.kernels.Communicator;
import io.panatron.kernels.GroupMembers;
import io.panatron.kernels.Network;
import io.panatron.runtime.parallel.topology.GroupKind;
import io.panatron.runtime.parallel.topology.ParallelSizes;
import io.panatron.runtime.parallel.topology.RankGroup;
import io.panatron.runtime.parallel.topology.Topology;
import java.util.List;
import java.util.stream.IntStream;

/**
 * The communicators of one rank, one for each group it belongs to; a group of one rank has a
 * communicator too. Names and members are Megatron-Core's (parallel_state.py).
 *
 * @param world all ranks
 * @param tensor the ranks that share each layer's matrices
 * @param context the ranks that share each sequence
 * @param data the ranks that hold the same part of the model and see other samples
 * @param dataContext {@code data} and {@code context} together: over them gradients are summed
 * @param pipeline the ranks that hold the layers one after another, from the first stage to the
 *     last
 * @param model {@code tensor} and {@code pipeline} together: they hold one copy of the model
 * @param embedding the first and the last stage of the pipeline, which share tied embeddings; the
 *     others have a group of their own that nobody uses
 */
public record RankGroups(
    Communicator world,
    Communicator tensor,
    Communicator context,
    Communicator data,
    Communicator dataContext,
    Communicator pipeline,
    Communicator model,
    Communicator embedding)
    implements AutoCloseable {

  /** All groups of a run of one rank. */
  static RankGroups alone(Communicator self) {
    return new RankGroups(self, self, self, self, self, self, self, self);
  }

  /** Opens the groups of one rank. */
  static RankGroups of(ParallelSizes sizes, Network network, int rank) {
    Topology topology = new Topology(sizes);
    List<Integer> everybody = IntStream.range(0, sizes.world()).boxed().toList();
    return new RankGroups(
        network.open(rank, new GroupMembers("world", everybody)),
        open(topology, GroupKind.TENSOR_PARALLEL, network, rank),
        open(topology, GroupKind.CONTEXT_PARALLEL, network, rank),
        open(topology, GroupKind.DATA_PARALLEL, network, rank),
        open(topology, GroupKind.DATA_CONTEXT_PARALLEL, network, rank),
        open(topology, GroupKind.PIPELINE_PARALLEL, network, rank),
        open(topology, GroupKind.MODEL_PARALLEL, network, rank),
        open(topology, GroupKind.EMBEDDING, network, rank));
  }

  private static Communicator open(Topology topology, GroupKind kind, Network network, int rank) {
    RankGroup group = topology.group(kind, rank);
    List<Integer> members = group.contains(rank) ? group.ranks().boxed().toList() : List.of(rank);
    return network.open(rank, new GroupMembers(kind.label(), members));
  }

  /** Closes every communicator, {@code world} last. */
  @Override
  public void close() {
    embedding.close();
    model.close();
    pipeline.close();
    dataContext.close();
    data.close();
    context.close();
    tensor.close();
    world.close();
  }
}
