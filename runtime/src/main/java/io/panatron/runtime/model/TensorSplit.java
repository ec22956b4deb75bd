package io.panatron.runtime.model;

import io.panatron.kernels.VocabularyPart;
import io.panatron.runtime.nn.FlatLayout;
import java.util.ArrayList;
import java.util.List;

/** What each of several tensor-parallel ranks has of a parameter. */
public sealed interface TensorSplit {
  /** Rows from {@code first} on. */
  record Range(long first, long count) {}

  /**
   * An equal share of each group of rows: of query, key and value heads, of gate and up.
   *
   * @param groups rows of each group, one after the other
   */
  record Rows(List<Long> groups) implements TensorSplit {
    public Rows {
      groups = List.copyOf(groups);
    }
  }

  /** An equal share of the columns. */
  record Columns() implements TensorSplit {}

  /** The rows of a {@link VocabularyPart}. */
  record Vocabulary(int size) implements TensorSplit {}

  /**
   * All of it.
   *
   * @param summed whether each rank computes a part of the gradient, whatever ranks do with tokens
   */
  record Replicated(boolean summed) implements TensorSplit {}

  /** The rows of a parameter of {@code all} rows that a rank has. */
  default List<Range> rows(long all, int rank, int ranks) {
    return switch (this) {
      case Columns() -> List.of(new Range(0, all));
      case Replicated(boolean _) -> List.of(new Range(0, all));
      case Vocabulary(int size) -> {
        long first = VocabularyPart.firstRow(size, rank, ranks);
        yield List.of(new Range(first, VocabularyPart.firstRow(size, rank + 1, ranks) - first));
      }
      case Rows(List<Long> groups) -> {
        List<Range> ranges = new ArrayList<>();
        long start = 0;
        for (long group : groups) {
          long share = share(group, ranks);
          ranges.add(new Range(start + rank * share, share));
          start += group;
        }
        yield List.copyOf(ranges);
      }
    };
  }

  /** The columns of a parameter of {@code all} columns that a rank has. */
  default Range columns(long all, int rank, int ranks) {
    if (!(this instanceof Columns)) {
      return new Range(0, all);
    }
    long share = share(all, ranks);
    return new Range(rank * share, share);
  }

  /**
   * Who holds the parameter.
   *
   * @param sequence whether ranks share tokens outside the shares of matrices
   */
  default FlatLayout.Sharing sharing(int ranks, boolean sequence) {
    if (ranks == 1 || !(this instanceof Replicated replicated)) {
      return FlatLayout.Sharing.OWN;
    }
    return replicated.summed || sequence
        ? FlatLayout.Sharing.SUMMED
        : FlatLayout.Sharing.REPLICATED;
  }

  private static long share(long all, int ranks) {
    if (all % ranks != 0) {
      throw new IllegalArgumentException(all + " rows or columns cannot be shared by " + ranks);
    }
    return all / ranks;
  }
}
