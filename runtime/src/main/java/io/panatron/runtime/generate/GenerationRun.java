package io.panatron.runtime.generate;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One call of {@link Generator#generate}: lets waiting samples into free slots, in order, and steps
 * until all have ended.
 */
final class GenerationRun {
  /** Prompt tokens that a step reads at most, if it reads more than one prompt. */
  private static final int PROMPT_TOKENS = 4096;

  private final DecodingBatch batch;
  private final List<int[]> prompts;
  private final GenerationSettings settings;
  private final TokenListener listener;
  private final Throughput throughput;
  private final Sampler sampler;
  private final double[] logits;
  private final Deque<Row> waiting = new ArrayDeque<>();
  private final List<Row> open = new ArrayList<>();
  private final Deque<Integer> freeSlots = new ArrayDeque<>();
  private final List<Completion> completions = new ArrayList<>();
  private int drawn;

  /**
   * The prompt that was read last. Its further samples come next in order, so its slot still holds
   * it when they enter: whoever took the slot since is one of them.
   */
  private @Nullable ReadPrompt read;

  /** A prompt in a slot, and the logits after it. */
  private record ReadPrompt(int prompt, int slot, double[] logits) {}

  GenerationRun(
      DecodingBatch batch,
      List<int[]> prompts,
      GenerationSettings settings,
      TokenListener listener,
      Throughput throughput) {
    this.batch = batch;
    this.prompts = prompts;
    this.settings = settings;
    this.listener = listener;
    this.throughput = throughput;
    sampler = new Sampler(batch.vocabulary());
    logits = new double[batch.vocabulary()];
  }

  /** Returns the samples in the order in which they ended. */
  List<Completion> run() {
    for (int slot = 0; slot < batch.slots(); slot++) {
      freeSlots.add(slot);
    }
    for (int prompt = 0; prompt < prompts.size(); prompt++) {
      for (int sample = 0; sample < settings.samples(); sample++) {
        waiting.add(new Row(prompt, sample, prompts.get(prompt), settings));
      }
    }
    while (!waiting.isEmpty() || !open.isEmpty()) {
      long start = System.nanoTime();
      drawn = 0;
      List<Row> entering = admit();
      if (settings.batchInvariant()) {
        entering.forEach(row -> step(List.of(row)));
        step(List.of());
      } else {
        step(entering);
      }
      int tokens = entering.stream().mapToInt(row -> prompts.get(row.prompt()).length).sum();
      throughput.count(tokens, drawn, System.nanoTime() - start);
    }
    return completions;
  }

  /**
   * Gives free slots to waiting samples: those of a prompt that was read start at once, the others
   * are returned, to read their prompts.
   */
  private List<Row> admit() {
    List<Row> entering = new ArrayList<>();
    int tokens = 0;
    while (!waiting.isEmpty() && !freeSlots.isEmpty()) {
      Row row = waiting.getFirst();
      int length = prompts.get(row.prompt()).length;
      // Behind a window a slot may have forgotten the prompt over its sample; then it is read
      // again.
      if (read != null && read.prompt() == row.prompt() && batch.holds(read.slot(), length)) {
        enter(waiting.removeFirst());
        batch.copy(read.slot(), row.slot(), length);
        System.arraycopy(read.logits(), 0, logits, 0, logits.length);
        if (draw(row)) {
          open.add(row);
        }
        continue;
      }
      boolean isBeingRead = !entering.isEmpty() && entering.getLast().prompt() == row.prompt();
      if (isBeingRead || (tokens > 0 && tokens + length > PROMPT_TOKENS)) {
        break;
      }
      tokens += length;
      enter(waiting.removeFirst());
      batch.truncate(row.slot(), 0);
      entering.add(row);
    }
    return entering;
  }

  private void enter(Row row) {
    row.enter(freeSlots.removeFirst());
  }

  /**
   * Computes one step and draws a token for each of its samples.
   *
   * @param entering samples whose prompts are read; a batch-invariant run reads each alone
   */
  private void step(List<Row> entering) {
    boolean alone = settings.batchInvariant() && !entering.isEmpty();
    List<Row> rows = alone ? new ArrayList<>() : new ArrayList<>(open);
    int continuing = rows.size();
    rows.addAll(entering);
    if (rows.isEmpty()) {
      return;
    }
    List<Integer> slots = new ArrayList<>();
    List<int[]> tokens = new ArrayList<>();
    for (int i = 0; i < rows.size(); i++) {
      Row row = rows.get(i);
      slots.add(row.slot());
      tokens.add(i < continuing ? new int[] {row.lastToken()} : prompts.get(row.prompt()));
    }
    batch.step(slots, tokens, !alone);
    for (int i = 0; i < rows.size(); i++) {
      Row row = rows.get(i);
      batch.logits(i, logits);
      if (i >= continuing && settings.samples() > 1) {
        read = new ReadPrompt(row.prompt(), row.slot(), logits.clone());
      }
      boolean goesOn = draw(row);
      if (i >= continuing && goesOn) {
        open.add(row);
      }
    }
    open.removeIf(Row::hasEnded);
  }

  /** Draws from {@link #logits}; a sample that ends gives its slot free. Returns false then. */
  private boolean draw(Row row) {
    row.draw(logits, sampler, listener);
    drawn++;
    if (row.hasEnded()) {
      freeSlots.addLast(row.slot());
      completions.add(row.completion());
    }
    return !row.hasEnded();
  }
}
