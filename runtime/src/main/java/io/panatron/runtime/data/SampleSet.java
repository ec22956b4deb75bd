package io.panatron.runtime.data;

import io.panatron.runtime.UserError;

/**
 * Samples in the order of the data set, tokenized when asked for.
 *
 * <p>A sample is a row, or with {@code truncation_strategy split} a stretch of one. Safe for use by
 * several threads.
 */
public final class SampleSet {
  private final RowStore rows;
  private final SampleEncoder encoder;
  private final int[] rowOf;
  private final int[] partOf;
  private final int maxLength;
  private final Truncation truncation;

  SampleSet(
      RowStore rows,
      SampleEncoder encoder,
      int[] rowOf,
      int[] partOf,
      int maxLength,
      Truncation truncation) {
    this.rows = rows;
    this.encoder = encoder;
    this.rowOf = rowOf;
    this.partOf = partOf;
    this.maxLength = maxLength;
    this.truncation = truncation;
  }

  public int size() {
    return rowOf.length;
  }

  /** {@code file:line} of a sample. */
  public String location(int sample) {
    return rows.location(rowOf[sample]);
  }

  /** The tokenized sample, at most {@code max_length} long. */
  public EncodedSample get(int sample) {
    EncodedSample whole;
    try {
      whole = encoder.encode(rows.get(rowOf[sample]));
    } catch (TemplateException e) {
      throw new UserError(location(sample) + " " + e.getMessage(), e);
    }
    int n = whole.length();
    if (n <= maxLength) {
      return whole;
    }
    return switch (truncation) {
      case LEFT -> whole.range(n - maxLength, n);
      case RIGHT -> whole.range(0, maxLength);
      case SPLIT -> {
        int from = partOf[sample] * maxLength;
        yield whole.range(from, Math.min(n, from + maxLength));
      }
      case DELETE ->
          throw new UserError(
              location(sample)
                  + " became longer than --max_length; leave data files unchanged during a run");
    };
  }
}
