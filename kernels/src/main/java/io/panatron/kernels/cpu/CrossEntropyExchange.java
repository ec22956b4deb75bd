package io.panatron.kernels.cpu;

import io.panatron.kernels.Communicator;
import io.panatron.kernels.DType;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.host.HostMemory;
import java.lang.foreign.MemorySegment;

/**
 * What ranks that share a vocabulary tell each other about the tokens of a chunk: each the
 * log-sum-exp of its own logits, and the logit of the label, 0 where it does not have it.
 *
 * <p>One exchange for a chunk gives all ranks both numbers; they combine them in rank order, so
 * that every rank has the same bits. Source: Megatron-Core, vocab_parallel_cross_entropy, which
 * reduces maxima and sums of exponentials one after the other.
 */
final class CrossEntropyExchange implements AutoCloseable {
  private static final int NUMBERS = 2;

  private final Communicator group;
  private final MemoryScope scope;
  private final Tensor own;
  private final Tensor all;
  private final MemorySegment written;
  private final MemorySegment read;
  private int tokens;

  CrossEntropyExchange(Communicator group, MemoryScope scope, int capacity) {
    this.group = group;
    this.scope = scope;
    long count = (long) NUMBERS * capacity;
    own = scope.allocate("cross-entropy statistics", DType.F32, count);
    all = scope.allocate("cross-entropy statistics of all", DType.F32, group.size() * count);
    written = HostMemory.of(own);
    read = HostMemory.of(all);
  }

  void set(int row, double logSumExp, double labelLogit) {
    TileRows.set(written, (long) NUMBERS * row, (float) logSumExp);
    TileRows.set(written, (long) NUMBERS * row + 1, (float) labelLogit);
  }

  /** Exchanges the first {@code count} rows. */
  void gather(int count) {
    tokens = count;
    long numbers = (long) NUMBERS * count;
    group.allGather(own.slice(0, numbers), all.slice(0, group.size() * numbers));
  }

  private float number(int rank, int row, int number) {
    return TileRows.get(read, (long) NUMBERS * ((long) rank * tokens + row) + number);
  }

  /** Over the whole vocabulary. */
  double logSumExp(int row) {
    double greatest = Double.NEGATIVE_INFINITY;
    for (int rank = 0; rank < group.size(); rank++) {
      greatest = Math.max(greatest, number(rank, row, 0));
    }
    double sum = 0;
    for (int rank = 0; rank < group.size(); rank++) {
      sum += Math.exp(number(rank, row, 0) - greatest);
    }
    return greatest + Math.log(sum);
  }

  /** The logit of the row's label, which one rank has. */
  double labelLogit(int row) {
    double logit = 0;
    for (int rank = 0; rank < group.size(); rank++) {
      logit += number(rank, row, 1);
    }
    return logit;
  }

  @Override
  public void close() {
    scope.release(own);
    scope.release(all);
  }
}
