package io.panatron.runtime.generate;

import io.panatron.runtime.UserError;
import io.panatron.runtime.model.ModelConfig;
import io.panatron.runtime.model.TransformerModel;
import io.panatron.runtime.parallel.RankContext;
import java.util.Comparator;
import java.util.List;

/**
 * Continues prompts, many at a time: for evaluation, for rollouts, for the command line.
 *
 * <p>A prompt is read once, however many samples it gets; after that a step computes one token of
 * every open sample against the cached keys and values, so the work of a step grows linearly with
 * the length. A sample that ends leaves the batch and the next one takes its place.
 *
 * <p>A sample depends on its prompt, the settings, and its numbers, not on what is decoded beside
 * it; see {@link GenerationSettings#batchInvariant} for the last bits.
 */
public final class Generator {
  /**
   * Matrix products take rows in groups of 6 or 8, and compute what is left over in another order;
   * multiples of both leave nothing over.
   */
  private static final int ROWS_WITHOUT_REMAINDER = 24;

  /** All samples of a call are kept in memory until it returns. */
  private static final int MOST_SAMPLES = 10_000_000;

  private final RankContext rank;
  private final ModelConfig config;
  private final TransformerModel model;
  private final Throughput throughput = new Throughput();

  public Generator(RankContext rank, ModelConfig config, TransformerModel model) {
    this.rank = rank;
    this.config = config;
    this.model = model;
  }

  /** What all calls so far took. */
  public Throughput throughput() {
    return throughput;
  }

  /**
   * Generates {@code settings.samples()} samples of each prompt.
   *
   * @param prompts token ids, at least one each
   * @return all samples, by prompt and sample
   * @throws UserError if a prompt and its samples are longer than the model takes
   */
  public List<Completion> generate(
      List<int[]> prompts, GenerationSettings settings, TokenListener listener) {
    check(prompts, settings);
    if (prompts.isEmpty()) {
      return List.of();
    }
    int rows = prompts.size() * settings.samples();
    try (DecodingBatch batch = open(Math.min(rows, settings.batchSize()), settings)) {
      List<Completion> completions =
          new GenerationRun(batch, prompts, settings, listener, throughput).run();
      completions.sort(
          Comparator.comparingInt(Completion::prompt).thenComparingInt(Completion::sample));
      return completions;
    }
  }

  /** A batch without sequences. */
  DecodingBatch open(int slots, GenerationSettings settings) {
    int multiple = settings.batchInvariant() ? ROWS_WITHOUT_REMAINDER : 1;
    return new DecodingBatch(rank, config, model, slots, multiple);
  }

  private void check(List<int[]> prompts, GenerationSettings settings) {
    int longest = 0;
    for (int[] prompt : prompts) {
      if (prompt.length == 0) {
        throw new UserError("a prompt has no tokens; give at least one");
      }
      longest = Math.max(longest, prompt.length);
    }
    if ((long) prompts.size() * settings.samples() > MOST_SAMPLES) {
      throw new UserError(
          "%d prompts with %d samples each are more than %d; lower --num_return_sequences"
              .formatted(prompts.size(), settings.samples(), MOST_SAMPLES));
    }
    long positions = (long) longest + settings.maxNewTokens();
    if (positions > model.positions()) {
      throw new UserError(
          ("a prompt of %d tokens and %d new ones need %d positions, but the model has %d; shorten"
                  + " the prompt or lower --max_new_tokens")
              .formatted(longest, settings.maxNewTokens(), positions, model.positions()));
    }
  }
}
