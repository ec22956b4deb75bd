package io.panatron.cli;

import io.panatron.runtime.parallel.topology.ParallelAxis;
import io.panatron.runtime.parallel.topology.RankGrid;
import io.panatron.runtime.parallel.topology.Topology;
import java.io.PrintWriter;
import org.jspecify.annotations.Nullable;

/** The place of each rank along each dimension, one row per rank, columns between tabs. */
final class TopologyTable {
  private TopologyTable() {}

  static void print(Topology topology, @Nullable Integer rank, PrintWriter out) {
    out.println("rank\ttp\tcp\tdp\tpp\tetp\tep\tedp");
    RankGrid dense = topology.sizes().denseGrid();
    RankGrid expert = topology.sizes().expertGrid();
    int first = rank == null ? 0 : rank;
    int end = rank == null ? topology.sizes().world() : rank + 1;
    for (int r = first; r < end; r++) {
      out.println(
          "%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d"
              .formatted(
                  r,
                  dense.coordinate(r, ParallelAxis.TENSOR),
                  dense.coordinate(r, ParallelAxis.CONTEXT),
                  dense.coordinate(r, ParallelAxis.DATA),
                  dense.coordinate(r, ParallelAxis.PIPELINE),
                  expert.coordinate(r, ParallelAxis.TENSOR),
                  expert.coordinate(r, ParallelAxis.EXPERT),
                  expert.coordinate(r, ParallelAxis.DATA)));
      ClosedOutputException.check(out);
    }
  }
}
