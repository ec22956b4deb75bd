package io.panatron.kernels;

/**
 * How the columns of a fused query/key/value projection divide into heads.
 *
 * @param queryHeads number of query heads
 * @param keyValueHeads number of key heads and of value heads; divides {@code queryHeads}
 * @param headDim elements of one head
 */
public record HeadGeometry(int queryHeads, int keyValueHeads, int headDim) {
  public HeadGeometry {
    if (queryHeads < 1 || keyValueHeads < 1 || headDim < 2 || queryHeads % keyValueHeads != 0) {
      throw new IllegalArgumentException(
          queryHeads + " query heads, " + keyValueHeads + " key heads, head dim " + headDim);
    }
  }

  /** Columns of the fused projection: all queries, then all keys, then all values. */
  public int fusedColumns() {
    return (queryHeads + 2 * keyValueHeads) * headDim;
  }

  public int queryColumns() {
    return queryHeads * headDim;
  }

  public int keyValueColumns() {
    return keyValueHeads * headDim;
  }

  /** Query heads that share one key head. */
  public int groupSize() {
    return queryHeads / keyValueHeads;
  }
}
