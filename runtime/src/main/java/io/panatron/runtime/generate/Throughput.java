package io.panatron.runtime.generate;

/** Counts tokens and time of one or more generations. */
public final class Throughput {
  private static final double NANOS = 1e9;

  private long promptTokens;
  private long newTokens;
  private long decodedTokens;
  private long promptNanos;
  private long decodingNanos;

  /**
   * Counts a step.
   *
   * @param read prompt tokens that the step read; a step that reads any counts as reading
   * @param drawn new tokens that came of it
   */
  void count(int read, int drawn, long nanos) {
    promptTokens += read;
    newTokens += drawn;
    if (read > 0) {
      promptNanos += nanos;
    } else {
      decodedTokens += drawn;
      decodingNanos += nanos;
    }
  }

  /** Prompt tokens that were computed; a prompt's further samples and cached turns add none. */
  public long promptTokens() {
    return promptTokens;
  }

  public long newTokens() {
    return newTokens;
  }

  /** New tokens per second in steps that read no prompt; 0 before the first. */
  public double decodingRate() {
    return decodingNanos == 0 ? 0 : decodedTokens * NANOS / decodingNanos;
  }

  /** One line: {@code 40 prompt tokens in 0.1 s, 60 new tokens in 0.5 s (118.2 tokens/s)}. */
  public String summary() {
    return "%,d prompt tokens in %.2f s, %,d new tokens in %.2f s (%.1f tokens/s)"
        .formatted(
            promptTokens, promptNanos / NANOS, newTokens, decodingNanos / NANOS, decodingRate());
  }
}
