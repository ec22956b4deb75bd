package io.panatron.kernels;

/**
 * Which elements of a tensor dropout keeps: a pure function of this value and of an element's
 * place, so that nothing is stored between forward and backward, and a step that is run again drops
 * the same elements.
 *
 * <p>The element of a row, a head and a column is decided by one of the four 32-bit words of
 * Threefry-4x32 with 13 rounds: word {@code (column mod 64) / 16} of the key {@code (low half of
 * seed, high half of seed, step, microBatch)} and the counter {@code (16 (column / 64) + column mod
 * 16, row, head, site)}. It is dropped if that word, unsigned, is below {@link #threshold}; what is
 * kept is multiplied by {@link #factor}. So 16 neighbouring columns differ in one counter word
 * only, which is what a vector computes at once, and equal bits come from vectors of any length.
 *
 * <p>Source: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", section
 * 4. 12 rounds pass all tests of BigCrush there; known answers are published for 13.
 *
 * @param probability of dropping an element, at least 0 and below 1
 * @param seed of the run
 * @param step of the optimizer
 * @param microBatch counted over all micro-batches of the step, those of other ranks included
 * @param site the place in the model; no two masks of a micro-batch have the same
 * @param firstHead number of the first head, where a rank holds only some of a model's
 * @param firstRow number of the first row, where a rank holds only some of a micro-batch's
 */
public record DropoutMask(
    double probability,
    long seed,
    int step,
    int microBatch,
    int site,
    int firstHead,
    int firstRow) {
  /** Columns that share the words of 16 counters. */
  public static final int BLOCK = 64;

  /** Counters of a block. */
  public static final int COUNTERS = 16;

  /** The mask of a whole micro-batch. */
  public DropoutMask(
      double probability, long seed, int step, int microBatch, int site, int firstHead) {
    this(probability, seed, step, microBatch, site, firstHead, 0);
  }

  public DropoutMask {
    if (!(probability >= 0 && probability < 1)) {
      throw new IllegalArgumentException(
          "a dropout of " + probability + " is not at least 0 and below 1");
    }
  }

  /** Words below this, unsigned, drop their element: {@code probability 2^32}, rounded. */
  public int threshold() {
    return (int) Math.min(Math.round(probability * 0x1p32), 0xFFFF_FFFFL);
  }

  /** What keeps the mean: {@code 1 / (1 - probability)}. */
  public double factor() {
    return 1 / (1 - probability);
  }
}
