package io.panatron.kernels.reference;

import io.panatron.kernels.Tensor;

/**
 * {@code y[t] = table[ids[t]]}; {@code dTable[ids[t]] += dy[t]}.
 *
 * <p><b>Shapes</b>: ids: [tokens]; table, dTable: [vocab, hidden]; y, dy: [tokens, hidden].
 *
 * <p><b>Errors</b>: an id outside the table throws {@link IllegalArgumentException}.
 */
final class ReferenceEmbedding {
  private ReferenceEmbedding() {}

  static void forward(Tensor ids, Tensor table, Tensor y) {
    int hidden = table.shape().columns();
    int[] rows = checkedIds(ids, table);
    double[] from = ReferenceArray.read(table);
    double[] ys = new double[rows.length * hidden];
    for (int t = 0; t < rows.length; t++) {
      System.arraycopy(from, rows[t] * hidden, ys, t * hidden, hidden);
    }
    ReferenceArray.write(ys, y);
  }

  static void backward(Tensor ids, Tensor dy, Tensor dTable) {
    int hidden = dTable.shape().columns();
    int[] rows = checkedIds(ids, dTable);
    double[] dys = ReferenceArray.read(dy);
    double[] sums = new double[Math.toIntExact(dTable.elements())];
    for (int t = 0; t < rows.length; t++) {
      ReferenceArray.addScaled(1, dys, t * hidden, sums, rows[t] * hidden, hidden);
    }
    ReferenceArray.accumulate(sums, dTable);
  }

  private static int[] checkedIds(Tensor ids, Tensor table) {
    int[] rows = ReferenceArray.readIntegers(ids);
    int vocab = table.shape().rows();
    for (int t = 0; t < rows.length; t++) {
      if (rows[t] < 0 || rows[t] >= vocab) {
        throw new IllegalArgumentException(
            "embedding: id "
                + rows[t]
                + " of token "
                + t
                + " is outside the table's "
                + vocab
                + " rows");
      }
    }
    return rows;
  }
}
