package io.panatron.runtime.autograd;

import io.panatron.kernels.LowRank;
import java.util.List;

/**
 * The low-rank weights that tune a frozen layer: LoRA.
 *
 * @param down [blocks x rank, in]; A
 * @param up [columns of all blocks, rank]; B
 * @param blocks which columns of the layer's output they add to
 * @param scale of what they add
 */
public record Adapter(Parameter down, Parameter up, List<LowRank.Block> blocks, double scale) {
  public Adapter {
    blocks = List.copyOf(blocks);
  }

  /** Whether both matrices are trained; they are trained together or not at all. */
  public boolean isTrained() {
    return down.isTrained();
  }

  LowRank values() {
    return new LowRank(down.value(), up.value(), blocks);
  }
}
