package io.panatron.runtime.optim;

import io.panatron.kernels.Communicator;
import io.panatron.kernels.Reduction;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.Work;
import io.panatron.runtime.autograd.GradientListener;
import io.panatron.runtime.autograd.Parameter;
import io.panatron.runtime.nn.FlatLayout;
import io.panatron.runtime.nn.ParameterStore;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * Sums the flat gradients over the ranks of a group, bucket by bucket: all of them at the end of
 * the passes, or, overlapped, each bucket as soon as the last micro-batch has added the last part
 * to it.
 *
 * <p>How many parts a parameter gets in a micro-batch (a tied embedding gets two) is counted in the
 * first one; a run of one micro-batch a step thus overlaps from its second step on. Buckets begin
 * in their order on every rank.
 */
final class GradientReduction implements GradientListener {
  private final Communicator group;
  private final ParameterStore store;
  private final FlatBuckets buckets;
  private final boolean scattering;
  private final boolean overlapped;
  private final Map<String, Progress> progress = new HashMap<>();
  private final List<List<Progress>> unfinished = new ArrayList<>();
  private final List<Work> begun = new ArrayList<>();
  private boolean counted;
  private boolean last;

  /** How far a parameter's gradient has come in this micro-batch. */
  private static final class Progress {
    private int added;
    private int expected;
    private boolean late;

    boolean isFinished() {
      return !late && added >= expected;
    }
  }

  /**
   * @param scattering whether each rank needs the sums of its own share alone
   * @param overlapped whether buckets begin before the passes end
   */
  GradientReduction(
      Communicator group,
      ParameterStore store,
      FlatBuckets buckets,
      boolean scattering,
      boolean overlapped) {
    this.group = group;
    this.store = store;
    this.buckets = buckets;
    this.scattering = scattering;
    this.overlapped = overlapped;
    for (Parameter parameter : store.trained()) {
      progress.put(parameter.name(), new Progress());
    }
    for (FlatBuckets.Bucket bucket : buckets.parts()) {
      List<Progress> within = new ArrayList<>();
      for (Parameter parameter : store.trained()) {
        FlatLayout.Slot slot = store.layout().slot(parameter.name());
        if (bucket.meets(slot.first(), slot.shape().elements())) {
          within.add(progress.get(parameter.name()));
        }
      }
      unfinished.add(within);
    }
  }

  /** Has a parameter's gradient reduced after the passes, since something else comes before. */
  void reduceLate(String parameter) {
    Objects.requireNonNull(progress.get(parameter)).late = true;
  }

  /**
   * A micro-batch begins.
   *
   * @param lastOfStep whether gradients are complete after it
   */
  void beginMicroBatch(boolean lastOfStep) {
    endCount();
    last = lastOfStep;
    progress.values().forEach(parameter -> parameter.added = 0);
  }

  @Override
  public void added(Parameter parameter) {
    Progress of = progress.get(parameter.name());
    if (of == null) {
      throw new IllegalArgumentException(parameter.name() + " is not among the parameters reduced");
    }
    boolean sending = overlapped && last && counted;
    if (sending && of.isFinished()) {
      throw new IllegalStateException(
          "the gradient of " + parameter.name() + " got more parts than in the first micro-batch");
    }
    of.added++;
    if (sending) {
      beginFinished();
    }
  }

  private void beginFinished() {
    while (begun.size() < unfinished.size()
        && unfinished.get(begun.size()).stream().allMatch(Progress::isFinished)) {
      begun.add(begin(buckets.parts().get(begun.size())));
    }
  }

  private Work begin(FlatBuckets.Bucket bucket) {
    Tensor part = store.gradients().slice(bucket.first(), bucket.count());
    if (!scattering) {
      return group.startAllReduce(part, Reduction.SUM);
    }
    long share = bucket.count() / group.size();
    return group.startReduceScatter(part, part.slice(share * group.rank(), share), Reduction.SUM);
  }

  /** Returns when the sums are there; the passes of the step have ended. */
  void finish() {
    endCount();
    while (begun.size() < unfinished.size()) {
      begun.add(begin(buckets.parts().get(begun.size())));
    }
    begun.forEach(Work::await);
    begun.clear();
    last = false;
  }

  private void endCount() {
    if (!counted && progress.values().stream().anyMatch(parameter -> parameter.added > 0)) {
      progress.values().forEach(parameter -> parameter.expected = parameter.added);
      counted = true;
    }
  }
}
