package io.panatron.runtime.data;

import java.util.ArrayList;
import java.util.List;

/** Samples that are packs of other samples. */
final class PackedSamples extends SampleSet {
  private final SampleSet single;
  private final PackPlan plan;

  PackedSamples(SampleSet single, PackPlan plan) {
    this.single = single;
    this.plan = plan;
  }

  @Override
  public int size() {
    return plan.packs();
  }

  @Override
  public String location(int sample) {
    return single.location(plan.samples()[plan.starts()[sample]]);
  }

  @Override
  public int length(int sample) {
    int length = 0;
    for (int i : plan.pack(sample)) {
      length += single.length(i);
    }
    return length;
  }

  @Override
  public List<EncodedSample> sequences(int sample) {
    List<EncodedSample> sequences = new ArrayList<>();
    for (int i : plan.pack(sample)) {
      sequences.addAll(single.sequences(i));
    }
    return sequences;
  }
}
