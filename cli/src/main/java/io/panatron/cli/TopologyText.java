package io.panatron.cli;

import io.panatron.runtime.parallel.topology.GroupKind;
import io.panatron.runtime.parallel.topology.ParallelSizes;
import io.panatron.runtime.parallel.topology.RankGroup;
import io.panatron.runtime.parallel.topology.Topology;
import java.io.PrintWriter;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Sizes, a drawing of the ranks, and the groups, for people to read. */
final class TopologyText {
  /** Pipeline stages and data-parallel copies in the drawing, at most. */
  private static final int DRAWN = 16;

  private static final int WIDEST_LABEL = 10;

  private final Topology topology;
  private final List<GroupKind> kinds;
  private final int width;

  TopologyText(Topology topology, List<GroupKind> kinds, int width) {
    this.topology = topology;
    this.kinds = kinds;
    this.width = width;
  }

  void print(PrintWriter out, @Nullable Integer rank) {
    ParallelSizes s = topology.sizes();
    out.println(
        "%d ranks = tp %d x cp %d x dp %d x pp %d"
            .formatted(s.world(), s.tensor(), s.context(), s.data(), s.pipeline()));
    out.println(
        "experts: etp %d x ep %d x edp %d x pp %d; order %s"
            .formatted(s.expertTensor(), s.expert(), s.expertData(), s.pipeline(), s.order()));
    out.println();
    if (rank == null) {
      draw(out);
      out.println();
    }
    for (GroupKind kind : kinds) {
      String head = "%-" + WIDEST_LABEL + "s";
      if (rank == null) {
        out.println(head.formatted(kind.label()) + groups(topology.groups(kind)));
      } else {
        RankGroup group = topology.group(kind, rank);
        out.println(
            head.formatted(kind.label())
                + shortened(group)
                + (group.contains(rank) ? "" : "  (without rank %d)".formatted(rank)));
      }
      out.println(" ".repeat(WIDEST_LABEL) + kind.use());
      ClosedOutputException.check(out);
    }
  }

  /** Stages from top to bottom, data-parallel copies from left to right, each [tp | cp]. */
  private void draw(PrintWriter out) {
    ParallelSizes s = topology.sizes();
    RankGroup stages = topology.group(GroupKind.PIPELINE_PARALLEL, 0);
    out.println("One line per stage; [ ] holds a copy of it, | parts of the sequence, blanks tp:");
    for (int p = 0; p < Math.min(s.pipeline(), DRAWN); p++) {
      StringBuilder line = new StringBuilder("stage %-3d".formatted(p));
      RankGroup copies = topology.group(GroupKind.DATA_PARALLEL, stages.rank(p));
      int drawn = 0;
      for (int d = 0; d < copies.size() && drawn < DRAWN; d++) {
        String copy = copy(copies.rank(d), s);
        if (line.length() + copy.length() + 6 > width && d > 0) {
          break;
        }
        line.append(' ').append(copy);
        drawn++;
      }
      out.println(line + (drawn < copies.size() ? " ..." : ""));
    }
    if (s.pipeline() > DRAWN) {
      out.println("... %d more stages".formatted(s.pipeline() - DRAWN));
    }
  }

  private String copy(int rank, ParallelSizes s) {
    StringBuilder text = new StringBuilder("[");
    int digits = Integer.toString(s.world() - 1).length();
    RankGroup parts = topology.group(GroupKind.CONTEXT_PARALLEL, rank);
    for (int c = 0; c < parts.size(); c++) {
      text.append(c == 0 ? "" : " |");
      RankGroup shards = topology.group(GroupKind.TENSOR_PARALLEL, parts.rank(c));
      for (int t = 0; t < shards.size(); t++) {
        if (text.length() > width) {
          return text + " ...]";
        }
        text.append(c + t == 0 ? "" : " ").append(("%" + digits + "d").formatted(shards.rank(t)));
      }
    }
    return text + "]";
  }

  private String groups(List<RankGroup> groups) {
    StringBuilder line =
        new StringBuilder("%d of %d:".formatted(groups.size(), groups.getFirst().size()));
    for (int i = 0; i < groups.size(); i++) {
      String text = shortened(groups.get(i));
      if (i > 0 && WIDEST_LABEL + line.length() + text.length() + 5 > width) {
        return line + " ...";
      }
      line.append(' ').append(text);
    }
    return line.toString();
  }

  private String shortened(RankGroup group) {
    StringBuilder text = new StringBuilder("{");
    for (int i = 0; i < group.size(); i++) {
      String next = (i == 0 ? "" : ", ") + group.rank(i);
      if (i > 0 && text.length() + next.length() > width - WIDEST_LABEL - 24) {
        return text + ", ...}";
      }
      text.append(next);
    }
    return text + "}";
  }
}
