package io.panatron.runtime.generate;

import java.util.SplittableRandom;

/**
 * One random stream for each sample of each prompt, which depends on the seed and on their numbers
 * alone: what is drawn for a row is the same whatever else is answered beside it.
 */
final class RandomStreams {
  private RandomStreams() {}

  /** The stream of a sample; different arguments give unrelated streams. */
  static SplittableRandom of(long seed, int prompt, int sample) {
    long state = new SplittableRandom(seed).nextLong();
    state = new SplittableRandom(state + prompt).nextLong();
    state = new SplittableRandom(state + sample).nextLong();
    return new SplittableRandom(state);
  }
}
