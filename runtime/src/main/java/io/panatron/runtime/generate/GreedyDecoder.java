package io.panatron.runtime.generate;

import io.panatron.kernels.AttentionLayout;
import io.panatron.kernels.Backend;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import io.panatron.runtime.UserError;
import io.panatron.runtime.autograd.Tape;
import io.panatron.runtime.model.ModelBuilder;
import io.panatron.runtime.model.ModelConfig;
import io.panatron.runtime.model.TransformerModel;
import io.panatron.runtime.nn.KeyValueCache;
import io.panatron.runtime.parallel.RankContext;
import io.panatron.runtime.tensor.HostTransfer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;

/**
 * Continues a batch of prompts with the most probable token at each step.
 *
 * <p>The prompts are read once, packed; after that each step computes one token of every sequence
 * against the cached keys and values, so the work of a step grows linearly with the length.
 */
public final class GreedyDecoder {
  private final RankContext rank;
  private final ModelConfig config;
  private final TransformerModel model;

  public GreedyDecoder(RankContext rank, ModelConfig config, TransformerModel model) {
    this.rank = rank;
    this.config = config;
    this.model = model;
  }

  /**
   * Generates up to {@code maxNewTokens} tokens for each prompt.
   *
   * @param prompts token ids, at least one each
   * @param stopIds tokens that end a sequence; they are included in the result
   * @return the new tokens of each prompt
   */
  public List<int[]> generate(List<int[]> prompts, int maxNewTokens, Set<Integer> stopIds) {
    int longest = 0;
    for (int[] prompt : prompts) {
      if (prompt.length == 0) {
        throw new UserError("a prompt has no tokens; give at least one");
      }
      longest = Math.max(longest, prompt.length);
    }
    int capacity = longest + maxNewTokens;
    if (capacity > model.positions()) {
      throw new UserError(
          "a prompt of "
              + longest
              + " tokens and "
              + maxNewTokens
              + " new ones need "
              + capacity
              + " positions, but the model has "
              + model.positions()
              + "; shorten the prompt or lower --max_new_tokens");
    }
    List<int[]> results = new ArrayList<>();
    if (prompts.isEmpty() || maxNewTokens == 0) {
      prompts.forEach(prompt -> results.add(new int[0]));
      return results;
    }
    try (MemoryScope run = rank.memory().scope("generation", false)) {
      KeyValueCache cache =
          new KeyValueCache(
              run,
              config.numLayers(),
              prompts.size(),
              capacity,
              ModelBuilder.geometry(config),
              model.dtype());
      decode(prompts, maxNewTokens, stopIds, cache, results);
    }
    return results;
  }

  private void decode(
      List<int[]> prompts,
      int maxNewTokens,
      Set<Integer> stopIds,
      KeyValueCache cache,
      List<int[]> results) {
    int sequences = prompts.size();
    int[][] generated = new int[sequences][maxNewTokens];
    int[] lengths = new int[sequences];
    boolean[] done = new boolean[sequences];
    List<int[]> next = prompts;
    for (int step = 0; step < maxNewTokens; step++) {
      int[] best = step(next, cache);
      boolean open = false;
      next = new ArrayList<>();
      for (int s = 0; s < sequences; s++) {
        if (!done[s]) {
          generated[s][lengths[s]++] = best[s];
          done[s] = stopIds.contains(best[s]);
        }
        open |= !done[s];
        next.add(new int[] {best[s]});
      }
      if (!open) {
        break;
      }
    }
    for (int s = 0; s < sequences; s++) {
      results.add(Arrays.copyOf(generated[s], lengths[s]));
    }
  }

  /** Appends new tokens to every sequence and returns the most probable token after each. */
  private int[] step(List<int[]> newTokens, KeyValueCache cache) {
    int[] counts = newTokens.stream().mapToInt(tokens -> tokens.length).toArray();
    int[] ids = newTokens.stream().flatMapToInt(Arrays::stream).toArray();
    int[] positions = new int[ids.length];
    int row = 0;
    for (int s = 0; s < counts.length; s++) {
      for (int i = 0; i < counts[s]; i++) {
        positions[row++] = cache.length(s) + i;
      }
    }
    Backend backend = rank.backend();
    try (MemoryScope scope = rank.memory().scope("decoding step", false)) {
      Tape tape = Tape.inference(backend, scope);
      AttentionLayout layout = cache.plan(counts);
      Tensor logits =
          model.nextTokenLogits(
              tape,
              HostTransfer.upload(backend.device(), scope, "ids", ids),
              HostTransfer.upload(backend.device(), scope, "positions", positions),
              layout,
              cache);
      return argmax(HostTransfer.download(backend.device(), logits), counts.length);
    }
  }

  /** The index of the largest value in each row; the first among equals. */
  private static int[] argmax(double[] values, int rows) {
    int columns = values.length / rows;
    int[] best = new int[rows];
    for (int r = 0; r < rows; r++) {
      for (int c = 1; c < columns; c++) {
        if (values[r * columns + c] > values[r * columns + best[r]]) {
          best[r] = c;
        }
      }
    }
    return best;
  }
}
