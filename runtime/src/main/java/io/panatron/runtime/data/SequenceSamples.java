package io.panatron.runtime.data;

import io.panatron.runtime.UserError;
import java.util.List;

/** Samples that are rows of labelled or grouped sequences. */
final class SequenceSamples extends SampleSet {
  private final SampleFiles files;
  private final int[] rowOf;
  private final SequenceChoice choice;

  SequenceSamples(SampleFiles files, int[] rowOf, SequenceChoice choice) {
    this.files = files;
    this.rowOf = rowOf;
    this.choice = choice;
  }

  @Override
  public int size() {
    return rowOf.length;
  }

  @Override
  public String location(int sample) {
    return files.location(rowOf[sample]);
  }

  @Override
  public int length(int sample) {
    return choose(sample, sample).length();
  }

  /** The same selection each time, so that {@link #length} holds for it. */
  @Override
  public List<EncodedSample> sequences(int sample) {
    return choose(sample, sample).sequences();
  }

  @Override
  List<EncodedSample> sequences(int sample, long draw) {
    return choose(sample, draw).sequences();
  }

  private EncodedSample choose(int sample, long draw) {
    EncodedSample whole = files.sample(rowOf[sample]);
    if (choice.truncation() == Truncation.DELETE && whole.longest() > choice.limit()) {
      throw new UserError(
          location(sample)
              + " became longer than --max_length; leave data files unchanged during a run");
    }
    return choice.choose(whole, draw);
  }
}
