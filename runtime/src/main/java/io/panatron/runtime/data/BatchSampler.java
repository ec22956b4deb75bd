package io.panatron.runtime.data;

import java.util.Arrays;

/**
 * Says which samples a data-parallel rank trains on, as a function of the samples consumed so far
 * by all ranks; so resuming needs no other state.
 *
 * <p>An epoch holds the {@code active = n - n % (microBatchSize * ranks)} samples that fill whole
 * steps; the rest of an epoch is left out (in the shuffled orders a different rest each time).
 * Source: Megatron-LM, {@code megatron/training/datasets/data_samplers.py}. Not thread-safe: one
 * epoch's order is kept.
 */
public abstract sealed class BatchSampler {
  /** The part of the sampler's settings that every order needs. */
  public record Shape(int samples, int microBatchSize, int rank, int ranks) {
    public Shape {
      if (microBatchSize < 1 || ranks < 1 || rank < 0 || rank >= ranks) {
        throw new IllegalArgumentException(
            "bad micro-batch size " + microBatchSize + " or rank " + rank + " of " + ranks);
      }
      if (samples < (long) microBatchSize * ranks) {
        throw new IllegalArgumentException(
            samples + " samples do not fill one step of " + (long) microBatchSize * ranks);
      }
    }

    /** Samples that all ranks consume with one micro-batch each. */
    public int step() {
      return microBatchSize * ranks;
    }

    /** Samples of one epoch. */
    public int active() {
      return samples - samples % step();
    }
  }

  protected final Shape shape;

  private BatchSampler(Shape shape) {
    this.shape = shape;
  }

  /**
   * The sampler of {@code --dataloader_type}, {@code --train_dataloader_shuffle} and {@code
   * --no_data_sharding}.
   *
   * @param cyclic false for {@code single}
   * @param sharded whether a rank keeps to its own contiguous part; matters only when shuffled
   */
  public static BatchSampler of(Shape shape, boolean cyclic, boolean shuffle, boolean sharded) {
    if (!cyclic) {
      return new Single(shape);
    }
    return shuffle ? (sharded ? new Sharded(shape) : new Unsharded(shape)) : new Strided(shape);
  }

  public Shape shape() {
    return shape;
  }

  /**
   * The samples of this rank's micro-batch.
   *
   * @param consumed samples consumed by all ranks before it, a multiple of {@code shape().step()}
   */
  public final int[] microBatch(long consumed) {
    if (consumed < 0 || consumed % shape.step() != 0) {
      throw new IllegalArgumentException(
          consumed + " samples consumed are not a multiple of the step of " + shape.step());
    }
    long epoch = consumed / shape.active();
    int offset = (int) (consumed % shape.active());
    int[] batch = new int[shape.microBatchSize()];
    for (int j = 0; j < batch.length; j++) {
      batch[j] = sample(epoch, offset, j);
    }
    return batch;
  }

  /**
   * Sample {@code j} of this rank's micro-batch that starts {@code offset} samples into an epoch.
   */
  abstract int sample(long epoch, int offset, int j);

  /** File order; rank r takes the r-th micro-batch of each step; starts again after an epoch. */
  static final class Single extends BatchSampler {
    Single(Shape shape) {
      super(shape);
    }

    @Override
    int sample(long epoch, int offset, int j) {
      return offset + shape.rank() * shape.microBatchSize() + j;
    }
  }

  /** File order; rank r takes every ranks-th sample, starting at r. */
  static final class Strided extends BatchSampler {
    Strided(Shape shape) {
      super(shape);
    }

    @Override
    int sample(long epoch, int offset, int j) {
      return offset + shape.rank() + j * shape.ranks();
    }
  }

  /**
   * The sampler of {@code --group_by_length}: one shuffled order for all ranks in which samples of
   * similar length follow each other, and the longest comes first, so that too little memory shows
   * at once.
   *
   * @param lengths tokens of each sample
   */
  public static BatchSampler groupedByLength(Shape shape, int[] lengths) {
    return new Grouped(shape, lengths);
  }

  /**
   * The permutation of the epoch, cut into groups of up to 50 steps, each sorted by falling length.
   * Source: transformers, {@code trainer_pt_utils.py}, {@code get_length_grouped_indices}.
   */
  static final class Grouped extends BatchSampler {
    private static final int MOST_STEPS = 50;

    private final int[] lengths;
    private long epoch = -1;
    private int[] order = {};

    Grouped(Shape shape, int[] lengths) {
      super(shape);
      this.lengths = lengths.clone();
    }

    @Override
    int sample(long wanted, int offset, int j) {
      if (wanted != epoch) {
        order = order(wanted);
        epoch = wanted;
      }
      return order[offset + shape.rank() + j * shape.ranks()];
    }

    private int[] order(long wanted) {
      int n = lengths.length;
      int steps = Math.clamp(n / (shape.step() * 4), 1, MOST_STEPS);
      int size = steps * shape.step();
      int[] indices = new TorchRandom(wanted).permutation(n);
      int longest = 0;
      for (int from = 0; from < n; from += size) {
        int to = Math.min(n, from + size);
        Integer[] group = new Integer[to - from];
        for (int i = from; i < to; i++) {
          group[i - from] = indices[i];
        }
        Arrays.sort(group, (a, b) -> lengths[b] - lengths[a]);
        for (int i = from; i < to; i++) {
          indices[i] = group[i - from];
        }
        longest = lengths[indices[from]] > lengths[indices[longest]] ? from : longest;
      }
      int first = indices[0];
      indices[0] = indices[longest];
      indices[longest] = first;
      return indices;
    }
  }

  /** Keeps the permutation of the epoch in use: {@code torch.randperm} seeded with its number. */
  private abstract static sealed class Shuffled extends BatchSampler {
    private final int length;
    private long epoch = -1;
    private int[] permutation = {};

    Shuffled(Shape shape, int length) {
      super(shape);
      this.length = length;
    }

    final int shuffled(long wanted, int i) {
      if (wanted != epoch) {
        permutation = new TorchRandom(wanted).permutation(length);
        epoch = wanted;
      }
      return permutation[i];
    }
  }

  /** Each rank shuffles a contiguous bucket of its own. */
  static final class Sharded extends Shuffled {
    private final int bucket;

    Sharded(Shape shape) {
      super(shape, shape.active() / shape.ranks());
      this.bucket = shape.active() / shape.ranks();
    }

    @Override
    int sample(long epoch, int offset, int j) {
      return shape.rank() * bucket + shuffled(epoch, offset / shape.ranks() + j);
    }
  }

  /** One shuffled order for all ranks, of which rank r takes every ranks-th, starting at r. */
  static final class Unsharded extends Shuffled {
    Unsharded(Shape shape) {
      super(shape, shape.samples() / shape.microBatchSize() * shape.microBatchSize());
    }

    @Override
    int sample(long epoch, int offset, int j) {
      return shuffled(epoch, offset + shape.rank() + j * shape.ranks());
    }
  }
}
