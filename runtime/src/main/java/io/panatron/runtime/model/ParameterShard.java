package io.panatron.runtime.model;

import io.panatron.kernels.Shape;
import io.panatron.runtime.nn.FlatLayout;
import io.panatron.runtime.nn.TensorParallel;
import java.util.ArrayList;
import java.util.List;

/**
 * What one tensor-parallel rank has of a parameter: some rows, one range after the other, and some
 * columns of each.
 *
 * @param layout of the whole parameter
 * @param rows ranges of the whole parameter's rows, ascending
 * @param columns range of the whole parameter's columns; one column for a vector
 * @param sharing who else holds it
 */
record ParameterShard(
    ParameterLayout layout,
    List<TensorSplit.Range> rows,
    TensorSplit.Range columns,
    FlatLayout.Sharing sharing) {
  ParameterShard {
    rows = List.copyOf(rows);
  }

  /** The shard of a rank. */
  static ParameterShard of(ParameterLayout layout, int rank, int ranks, boolean sequence) {
    TensorSplit split = layout.split();
    return new ParameterShard(
        layout,
        split.rows(layout.rows(), rank, ranks),
        split.columns(Math.max(layout.columns(), 1), rank, ranks),
        split.sharing(ranks, sequence));
  }

  /** The shards of all parameters of a model on one rank, in the order of the layouts. */
  static List<ParameterShard> of(ModelConfig config, TensorParallel parallel) {
    return ParameterLayout.of(config).stream()
        .map(layout -> of(layout, parallel.rank(), parallel.size(), parallel.sequence()))
        .toList();
  }

  /** What becomes of the parameter in a store. */
  FlatLayout.Spec spec() {
    Shape shape =
        layout.columns() == 0 ? Shape.of(rowCount()) : Shape.of(rowCount(), columns.count());
    return new FlatLayout.Spec(layout.name(), shape, shape.rank() >= 2, sharing);
  }

  /** Rows of this rank. */
  long rowCount() {
    return rows.stream().mapToLong(TensorSplit.Range::count).sum();
  }

  /** Whether this rank has all of the parameter. */
  boolean isWhole() {
    return rowCount() == layout.rows() && columns.count() == Math.max(layout.columns(), 1);
  }

  /** Where this rank's rows lie in one of the Hugging Face tensors. */
  List<ShardPiece> pieces(ParameterLayout.Part part) {
    List<ShardPiece> pieces = new ArrayList<>();
    long row = 0;
    for (TensorSplit.Range range : rows) {
      long first = Math.max(range.first(), part.firstRow());
      long end = Math.min(range.first() + range.count(), part.firstRow() + part.rows());
      if (first < end) {
        pieces.add(
            new ShardPiece(
                part,
                row + first - range.first(),
                first - part.firstRow(),
                end - first,
                columns,
                Math.max(layout.columns(), 1)));
      }
      row += range.count();
    }
    return pieces;
  }
}
