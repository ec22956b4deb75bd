package io.panatron.runtime.generate;

import java.util.Arrays;
import java.util.BitSet;
import java.util.SplittableRandom;
import org.jspecify.annotations.Nullable;

/** A sample while it grows: its tokens, its random stream, its slot. */
final class Row {
  private final int prompt;
  private final int sample;
  private final GenerationSettings settings;
  private final SplittableRandom random;
  private final @Nullable BitSet seen;
  private int[] tokens = new int[16];
  private double[] logProbabilities = new double[16];
  private int count;
  private @Nullable Completion completion;
  private int slot = -1;

  /**
   * @param number the prompt's number, which selects the random stream
   * @param promptIds the tokens that the repetition penalty meets from the start
   */
  Row(int number, int sample, int[] promptIds, GenerationSettings settings) {
    this.prompt = number;
    this.sample = sample;
    this.settings = settings;
    random = RandomStreams.of(settings.seed(), number, sample);
    seen = settings.sampling().penalises() ? new BitSet() : null;
    if (seen != null) {
      for (int id : promptIds) {
        seen.set(id);
      }
    }
  }

  int prompt() {
    return prompt;
  }

  int slot() {
    return slot;
  }

  void enter(int newSlot) {
    slot = newSlot;
  }

  boolean hasEnded() {
    return completion != null;
  }

  int lastToken() {
    return tokens[count - 1];
  }

  /** The new tokens so far. */
  int[] tokens() {
    return Arrays.copyOf(tokens, count);
  }

  /** Draws the next token and finds out whether it is the last. */
  void draw(double[] logits, Sampler sampler, TokenListener listener) {
    Sampler.Draw draw = sampler.draw(logits, settings.sampling(), seen, random);
    if (count == tokens.length) {
      tokens = Arrays.copyOf(tokens, 2 * count);
      logProbabilities = Arrays.copyOf(logProbabilities, 2 * count);
    }
    tokens[count] = draw.token();
    logProbabilities[count++] = draw.logProbability();
    if (seen != null) {
      seen.set(draw.token());
    }
    StopReason reason = reasonToEnd(draw.token(), listener);
    if (reason != null) {
      completion =
          new Completion(prompt, sample, tokens(), Arrays.copyOf(logProbabilities, count), reason);
      listener.ended(completion);
    }
  }

  private @Nullable StopReason reasonToEnd(int token, TokenListener listener) {
    if (settings.stopTokens().contains(token)) {
      return StopReason.STOP_TOKEN;
    }
    if (!listener.goesOnAfter(prompt, sample, token)) {
      return StopReason.STOP_STRING;
    }
    return count == settings.maxNewTokens() ? StopReason.LENGTH : null;
  }

  /** The sample, once it has ended. */
  Completion completion() {
    if (completion == null) {
      throw new IllegalStateException("sample " + sample + " of prompt " + prompt + " goes on");
    }
    return completion;
  }
}
