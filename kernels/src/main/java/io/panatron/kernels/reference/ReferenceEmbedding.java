package io.panatron.kernels.reference;

import io.panatron.kernels.Tensor;
import io.panatron.kernels.VocabularyPart;

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
    forward(checkedIds(ids, table.shape().rows()), table, y);
  }

  /** As above; ids outside the part give zeros. */
  static void forward(Tensor ids, Tensor table, VocabularyPart part, Tensor y) {
    forward(rowsOf(ids, part), table, y);
  }

  private static void forward(int[] rows, Tensor table, Tensor y) {
    int hidden = table.shape().columns();
    double[] from = ReferenceArray.read(table);
    double[] ys = new double[rows.length * hidden];
    for (int t = 0; t < rows.length; t++) {
      if (rows[t] >= 0) {
        System.arraycopy(from, rows[t] * hidden, ys, t * hidden, hidden);
      }
    }
    ReferenceArray.write(ys, y);
  }

  static void backward(Tensor ids, Tensor dy, Tensor dTable) {
    backward(checkedIds(ids, dTable.shape().rows()), dy, dTable);
  }

  /** As above; ids outside the part are passed over. */
  static void backward(Tensor ids, Tensor dy, VocabularyPart part, Tensor dTable) {
    backward(rowsOf(ids, part), dy, dTable);
  }

  private static void backward(int[] rows, Tensor dy, Tensor dTable) {
    int hidden = dTable.shape().columns();
    double[] dys = ReferenceArray.read(dy);
    double[] sums = new double[Math.toIntExact(dTable.elements())];
    for (int t = 0; t < rows.length; t++) {
      if (rows[t] >= 0) {
        ReferenceArray.addScaled(1, dys, t * hidden, sums, rows[t] * hidden, hidden);
      }
    }
    ReferenceArray.accumulate(sums, dTable);
  }

  /** The row of each id in a part, or -1 where another rank has it. */
  private static int[] rowsOf(Tensor ids, VocabularyPart part) {
    int[] rows = checkedIds(ids, part.size());
    for (int t = 0; t < rows.length; t++) {
      int row = rows[t] - part.firstRow();
      rows[t] = row >= 0 && row < part.rows() ? row : -1;
    }
    return rows;
  }

  private static int[] checkedIds(Tensor ids, int vocab) {
    int[] rows = ReferenceArray.readIntegers(ids);
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
