package io.panatron.runtime.generate;

import io.panatron.kernels.AttentionLayout;
import io.panatron.kernels.Backend;
import io.panatron.kernels.DType;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import io.panatron.runtime.autograd.Tape;
import io.panatron.runtime.model.ModelBuilder;
import io.panatron.runtime.model.ModelConfig;
import io.panatron.runtime.model.TransformerModel;
import io.panatron.runtime.nn.KeyValueCache;
import io.panatron.runtime.parallel.RankContext;
import io.panatron.runtime.tensor.HostTransfer;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Sequences that are decoded together: their cached keys and values, and the step that appends
 * tokens to some of them and gives the logits of the next.
 *
 * <p>The new tokens of a step are packed, so sequences of any lengths, long prompts and single
 * tokens alike, share a step without padding. The cache grows with the longest sequence.
 */
final class DecodingBatch implements AutoCloseable {
  /** Tokens that a slot has room for at first, and beyond a prompt for which it grew. */
  private static final int LEAST_CAPACITY = 256;

  private final RankContext rank;
  private final TransformerModel model;
  private final MemoryScope scope;
  private final KeyValueCache cache;
  private final Arena arena = Arena.ofConfined();
  private final int vocabulary;
  private final int slots;
  private final int stepMultiple;
  private MemorySegment logits = MemorySegment.NULL;
  private DType logitsDtype = DType.F32;

  /**
   * @param slots how many sequences there can be at one time
   * @param stepMultiple steps are filled up to a multiple of this many sequences, with sequences of
   *     one token that nobody reads; 1 for none
   */
  DecodingBatch(
      RankContext rank, ModelConfig config, TransformerModel model, int slots, int stepMultiple) {
    this.rank = rank;
    this.model = model;
    this.slots = slots;
    this.stepMultiple = stepMultiple;
    this.vocabulary = config.vocabSize();
    scope = rank.memory().scope("generation", false);
    cache =
        new KeyValueCache(
            scope,
            IntStream.range(0, config.numLayers()).map(config::window).toArray(),
            slots + stepMultiple - 1,
            Math.min(LEAST_CAPACITY, model.positions()),
            ModelBuilder.geometry(config),
            model.dtype());
  }

  int slots() {
    return slots;
  }

  int vocabulary() {
    return vocabulary;
  }

  /** Tokens held in a slot. */
  int length(int slot) {
    return cache.length(slot);
  }

  /** Whether a slot can go on behind its first {@code length} tokens. */
  boolean holds(int slot, int length) {
    return cache.holds(slot, length);
  }

  /** Forgets the tokens of a slot from {@code length} on. */
  void truncate(int slot, int length) {
    cache.truncate(slot, length);
  }

  /** Makes a slot hold the first {@code length} tokens of another. */
  void copy(int from, int to, int length) {
    if (from == to) {
      cache.truncate(from, length);
    } else {
      cache.copy(rank.backend(), from, to, length);
    }
  }

  /**
   * Appends tokens to sequences; afterwards {@link #logits} gives what follows each of them.
   *
   * @param into a slot for each entry of {@code tokens}
   * @param tokens at least one each
   * @param filled whether to fill up the step
   */
  void step(List<Integer> into, List<int[]> tokens, boolean filled) {
    int sequences = into.size();
    int all = filled ? (sequences + stepMultiple - 1) / stepMultiple * stepMultiple : sequences;
    int[] stepSlots = new int[all];
    int[] counts = new int[all];
    int total = 0;
    int longest = 0;
    for (int i = 0; i < all; i++) {
      stepSlots[i] = i < sequences ? into.get(i) : slots + i - sequences;
      if (i >= sequences) {
        cache.truncate(stepSlots[i], 0);
      }
      counts[i] = i < sequences ? tokens.get(i).length : 1;
      total += counts[i];
      longest = Math.max(longest, cache.length(stepSlots[i]) + counts[i]);
    }
    makeRoom(longest);
    int[] ids = new int[total];
    int[] positions = new int[total];
    int row = 0;
    for (int i = 0; i < all; i++) {
      for (int t = 0; t < counts[i]; t++, row++) {
        ids[row] = i < sequences ? tokens.get(i)[t] : 0;
        positions[row] = cache.length(stepSlots[i]) + t;
      }
    }
    compute(ids, positions, cache.plan(stepSlots, counts), sequences);
  }

  private void makeRoom(int tokens) {
    if (tokens > model.positions()) {
      throw new IllegalArgumentException(
          "a sequence of " + tokens + " tokens; the model takes " + model.positions());
    }
    if (tokens > cache.capacity()) {
      long wanted = Math.max(tokens + (long) LEAST_CAPACITY, 2L * cache.capacity());
      cache.grow(rank.backend(), (int) Math.min(wanted, model.positions()));
    }
  }

  private void compute(int[] ids, int[] positions, AttentionLayout layout, int sequences) {
    Backend backend = rank.backend();
    try (MemoryScope step = rank.memory().scope("decoding step", false)) {
      Tensor result =
          model.nextTokenLogits(
              Tape.inference(backend, step),
              HostTransfer.upload(backend.device(), step, "ids", ids),
              HostTransfer.upload(backend.device(), step, "positions", positions),
              layout,
              cache);
      Tensor wanted = result.slice(0, sequences);
      if (logits.byteSize() == 0) {
        // For all slots at once: what an arena has outgrown stays allocated until it closes.
        logits = arena.allocate(wanted.bytes() / sequences * slots, Long.BYTES);
      }
      logitsDtype = wanted.dtype();
      backend.device().download(wanted, logits);
    }
  }

  /**
   * Reads the logits that the last step computed.
   *
   * @param sequence the place in the step's list
   * @param into [vocabulary]
   */
  void logits(int sequence, double[] into) {
    long start = (long) sequence * vocabulary;
    switch (logitsDtype) {
      case F32 -> {
        for (int i = 0; i < vocabulary; i++) {
          into[i] = logits.getAtIndex(ValueLayout.JAVA_FLOAT, start + i);
        }
      }
      case F64 ->
          MemorySegment.copy(
              logits, ValueLayout.JAVA_DOUBLE, start * Double.BYTES, into, 0, vocabulary);
      case BF16, F16, F8_E4M3, I16, I32 ->
          throw new IllegalStateException("logits of " + logitsDtype);
    }
  }

  @Override
  public void close() {
    arena.close();
    scope.close();
  }
}
