package io.panatron.kernels;

import java.util.List;

/**
 * Two narrow matrices whose product is added to the weight of a linear layer, block by block: LoRA.
 *
 * <p>A block stands for some columns of the layer's output, such as the queries of a fused
 * projection: {@code y[block] += h[block] up[block]^T} where {@code h[block]} is {@code x
 * down[block]^T}. Block {@code b} of rank {@code r} has the rows {@code b r .. (b + 1) r - 1} of
 * {@code down}, the columns of the same numbers in {@code h}, and the rows of {@code up} that
 * follow those of the blocks before it. Columns in no block get nothing added.
 *
 * <p>Source: Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", section 4.1.
 *
 * @param down [blocks x rank, in]; LoRA's A
 * @param up [columns of all blocks, rank]; LoRA's B
 * @param blocks in the order of their columns, at least one
 */
public record LowRank(Tensor down, Tensor up, List<Block> blocks) {

  /**
   * Some columns of a layer's output.
   *
   * @param first column
   * @param count of columns, at least 1
   */
  public record Block(int first, int count) {
    public Block {
      if (first < 0 || count < 1) {
        throw new IllegalArgumentException("a block of " + count + " columns from " + first);
      }
    }

    /** One behind the last column. */
    public int end() {
      return first + count;
    }
  }

  public LowRank {
    blocks = List.copyOf(blocks);
    int end = 0;
    long columns = 0;
    for (Block block : blocks) {
      if (block.first() < end) {
        throw new IllegalArgumentException("blocks overlap or are out of order: " + blocks);
      }
      end = block.end();
      columns += block.count();
    }
    if (columns == 0 || up.shape().rank() != 2 || down.shape().rank() != 2) {
      throw new IllegalArgumentException("low-rank product of " + up + " and " + down);
    }
    long rank = up.shape().extent(1);
    if (up.shape().extent(0) != columns || down.shape().extent(0) != blocks.size() * rank) {
      throw new IllegalArgumentException(
          "blocks " + blocks + " of rank " + rank + " do not fit up " + up + " and down " + down);
    }
  }

  /** Rows of each block's part of {@code down}. */
  public int rank() {
    return up.shape().columns();
  }

  /** Columns of {@code h}: all blocks' ranks. */
  public int width() {
    return down.shape().rows();
  }

  /** The first row of {@code up} that belongs to a block. */
  public int firstUp(int block) {
    int first = 0;
    for (int before = 0; before < block; before++) {
      first += blocks.get(before).count();
    }
    return first;
  }
}
