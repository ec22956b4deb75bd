package io.panatron.runtime.observe;

import java.util.ArrayList;
import java.util.List;

/** Counts sequences by length, in classes that double: 1, 2, 3 to 4, 5 to 8, and so on. */
public final class LengthStatistics {
  private final long[] classes = new long[Integer.SIZE];
  private long count;
  private long sum;
  private int shortest = Integer.MAX_VALUE;
  private int longest;

  /** Nothing counted yet. */
  public LengthStatistics() {}

  /**
   * A class of lengths that occurred.
   *
   * @param upTo the greatest length in it
   */
  public record LengthClass(int upTo, long count) {}

  /** Counts a sequence of at least one token. */
  public void add(int length) {
    classes[Integer.SIZE - Integer.numberOfLeadingZeros(length - 1)]++;
    count++;
    sum += length;
    shortest = Math.min(shortest, length);
    longest = Math.max(longest, length);
  }

  public long count() {
    return count;
  }

  /** 0 if nothing was counted, as all that follow. */
  public double mean() {
    return count == 0 ? 0 : (double) sum / count;
  }

  public int shortest() {
    return count == 0 ? 0 : shortest;
  }

  public int longest() {
    return longest;
  }

  /** From the first class that holds a sequence to the last. */
  public List<LengthClass> histogram() {
    List<LengthClass> histogram = new ArrayList<>();
    for (int i = 0; i < classes.length; i++) {
      int upTo = i == classes.length - 1 ? Integer.MAX_VALUE : 1 << i;
      if (count > 0 && upTo >= shortest && upTo / 2 < longest) {
        histogram.add(new LengthClass(upTo, classes[i]));
      }
    }
    return histogram;
  }
}
