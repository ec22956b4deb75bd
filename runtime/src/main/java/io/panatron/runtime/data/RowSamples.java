package io.panatron.runtime.data;

import io.panatron.runtime.UserError;
import java.nio.file.Path;
import java.util.List;

/** Samples that are rows, or with {@code truncation_strategy split} stretches of rows. */
final class RowSamples extends SampleSet {
  private final SampleFiles files;
  private final int[] rowOf;
  private final int[] partOf;
  private final int maxLength;
  private final Truncation truncation;

  RowSamples(SampleFiles files, int[] rowOf, int[] partOf, int maxLength, Truncation truncation) {
    this.files = files;
    this.rowOf = rowOf;
    this.partOf = partOf;
    this.maxLength = maxLength;
    this.truncation = truncation;
  }

  @Override
  public int size() {
    return rowOf.length;
  }

  /** The data file that a sample comes from. */
  Path source(int sample) {
    return files.source(rowOf[sample]);
  }

  /** The line or number of a sample's row in its file. */
  long number(int sample) {
    return files.number(rowOf[sample]);
  }

  @Override
  public String location(int sample) {
    return files.location(rowOf[sample]);
  }

  @Override
  public int length(int sample) {
    int whole = files.length(rowOf[sample]);
    return switch (truncation) {
      case DELETE -> whole;
      case LEFT, RIGHT -> Math.min(whole, maxLength);
      case SPLIT -> Math.min(maxLength, whole - partOf[sample] * maxLength);
    };
  }

  @Override
  public List<EncodedSample> sequences(int sample) {
    EncodedSample whole = files.sample(rowOf[sample]);
    if (whole.length() > maxLength && truncation == Truncation.DELETE) {
      throw new UserError(
          location(sample)
              + " became longer than --max_length; leave data files unchanged during a run");
    }
    return List.of(truncation.part(whole, maxLength, partOf[sample]));
  }
}
