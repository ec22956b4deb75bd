package io.panatron.kernels.cpu;

import io.panatron.kernels.Tensor;

/**
 * The widths of one attention call and the blocks it is computed in.
 *
 * <p>A block has the rows of all query heads of a group, so that one product serves the group: row
 * {@code i * group + h} is head {@code h} of the block's query {@code i}.
 *
 * @param queryHeads number of query heads
 * @param keyHeads number of key heads
 * @param headDim elements of a head
 * @param queryBlock queries of a block
 */
record AttentionShape(int queryHeads, int keyHeads, int headDim, int queryBlock) {
  /** Keys of a block: scores of a block of rows stay in a core's second-level cache. */
  static final int KEY_BLOCK = 512;

  /** Rows of a block: fewer make slower products, more compute more scores that causality hides. */
  private static final int ROWS = 128;

  static final int MOST_QUERIES = 64;
  private static final int LEAST_QUERIES = 8;

  static AttentionShape of(Tensor q, Tensor k) {
    int queryHeads = Math.toIntExact(q.shape().extent(1));
    int keyHeads = Math.toIntExact(k.shape().extent(1));
    int queryBlock = Math.clamp(ROWS * keyHeads / queryHeads, LEAST_QUERIES, MOST_QUERIES);
    return new AttentionShape(queryHeads, keyHeads, q.shape().columns(), queryBlock);
  }

  /** Query heads that share a key head. */
  int group() {
    return queryHeads / keyHeads;
  }

  /** Rows of a full block. */
  int blockRows() {
    return queryBlock * group();
  }

  /** Elements of one query's heads that share a key head; they lie together. */
  int groupColumns() {
    return group() * headDim;
  }

  /** Elements from one key (or value) to the next in a tensor of keys. */
  int keyStride() {
    return keyHeads * headDim;
  }

  /** Where the group of a key head begins in a tensor of queries. */
  long queryPosition(long query, int keyHead) {
    return (query * keyHeads + keyHead) * groupColumns();
  }

  /** Where a key head begins in a tensor of keys. */
  long keyPosition(long key, int keyHead) {
    return (key * keyHeads + keyHead) * headDim;
  }
}
