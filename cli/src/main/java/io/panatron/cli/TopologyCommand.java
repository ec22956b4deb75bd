package io.panatron.cli;

import io.panatron.runtime.UserError;
import io.panatron.runtime.parallel.topology.GroupKind;
import io.panatron.runtime.parallel.topology.ParallelSizes;
import io.panatron.runtime.parallel.topology.RankOrder;
import io.panatron.runtime.parallel.topology.Topology;
import java.io.IOException;
import java.io.PrintWriter;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code trainer topology}: which ranks work together. */
@Command(
    name = "topology",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = "Show which ranks of a parallel run form which groups.")
final class TopologyCommand implements Callable<Integer> {
  private final Supplier<Terminal> terminal;

  @Spec @Nullable CommandSpec spec;

  @Option(names = "--world_size", required = true, paramLabel = "N", description = "Ranks in all.")
  int world;

  @Option(
      names = "--tensor_model_parallel_size",
      defaultValue = "1",
      paramLabel = "N",
      description = "Ranks that share each matrix; default: 1.")
  int tensor;

  @Option(
      names = "--context_parallel_size",
      defaultValue = "1",
      paramLabel = "N",
      description = "Ranks that share each sequence; default: 1.")
  int context;

  @Option(
      names = "--pipeline_model_parallel_size",
      defaultValue = "1",
      paramLabel = "N",
      description = "Stages of the pipeline; default: 1.")
  int pipeline;

  @Option(
      names = "--expert_model_parallel_size",
      defaultValue = "1",
      paramLabel = "N",
      description = "Ranks that share the experts of a layer; default: 1.")
  int expert;

  @Option(
      names = "--expert_tensor_parallel_size",
      defaultValue = "1",
      paramLabel = "N",
      description = "Ranks that share each matrix of an expert; default: 1.")
  int expertTensor;

  @Option(
      names = "--order",
      defaultValue = "tp-cp-ep-dp-pp",
      paramLabel = "ORDER",
      description =
          "Which dimension changes fastest with the rank's number, and so on; default:"
              + " tp-cp-ep-dp-pp.")
  String order = "tp-cp-ep-dp-pp";

  @Option(
      names = "--format",
      defaultValue = "text",
      paramLabel = "FORMAT",
      description =
          "text (a drawing and the groups), table (the place of each rank) or json; default: text.")
  String format = "text";

  @Option(
      names = "--group",
      arity = "1..*",
      paramLabel = "KIND",
      description = "Show these kinds of groups alone: tp, cp, dp, pp, ep and so on.")
  List<String> kinds = List.of();

  @Option(
      names = "--rank",
      paramLabel = "N",
      description = "Show the place and the groups of this rank alone.")
  @Nullable Integer rank;

  /**
   * The command.
   *
   * @param terminal what can be shown, looked up when something is
   */
  TopologyCommand(Supplier<Terminal> terminal) {
    this.terminal = terminal;
  }

  @Override
  public Integer call() throws IOException {
    Topology topology =
        new Topology(
            ParallelSizes.ofWorld(world)
                .tensor(tensor)
                .context(context)
                .pipeline(pipeline)
                .expert(expert)
                .expertTensor(expertTensor)
                .order(RankOrder.parse(order))
                .build());
    if (rank != null && (rank < 0 || rank >= world)) {
      throw new UserError(
          "--rank is %d; ranks of a world of %d are 0 to %d.".formatted(rank, world, world - 1));
    }
    List<GroupKind> shown = shown();
    PrintWriter out = Objects.requireNonNull(spec).commandLine().getOut();
    switch (format) {
      case "text" -> new TopologyText(topology, shown, terminal.get().width()).print(out, rank);
      case "table" -> TopologyTable.print(topology, rank, out);
      case "json" -> TopologyJson.print(topology, shown, rank, out);
      default ->
          throw new UserError(
              "--format cannot be '%s': choose text, table or json.".formatted(format));
    }
    return 0;
  }

  private List<GroupKind> shown() {
    for (String kind : kinds) {
      if (Arrays.stream(GroupKind.values()).noneMatch(k -> k.label().equals(kind))) {
        throw new UserError(
            "--group knows no kind '%s'; choose among %s.".formatted(kind, GroupKind.labels()));
      }
    }
    return Arrays.stream(GroupKind.values())
        .filter(kind -> kinds.isEmpty() || kinds.contains(kind.label()))
        .toList();
  }
}
