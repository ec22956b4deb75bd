package io.panatron.runtime.optim;

import io.panatron.kernels.Backend;
import io.panatron.kernels.Communicator;
import io.panatron.kernels.Reduction;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.Work;
import io.panatron.runtime.autograd.GradientListener;
import io.panatron.runtime.nn.FlatLayout;
import io.panatron.runtime.nn.ParameterStore;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What ranks do together that hold the same parameters and see other samples: they sum their
 * gradients, and with a distributed optimizer each updates its share of the parameters and gives it
 * to the others.
 *
 * <p>Source: Megatron-Core, distributed_data_parallel.py and distrib_optimizer.py. Sums are divided
 * by the number of ranks with the update, not before.
 */
public final class DataParallel {
  private final Communicator group;
  private final ParameterStore store;
  private final FlatBuckets buckets;
  private final boolean distributed;
  private final @Nullable GradientReduction reduction;

  /**
   * How the work is shared.
   *
   * @param distributed whether each rank keeps optimizer state of its share alone (ZeRO, stage 1)
   * @param overlapReduce whether gradients are summed while backward still runs
   * @param bucketSize elements exchanged at a time where that is so
   */
  public record Settings(boolean distributed, boolean overlapReduce, long bucketSize) {
    /** As the parameters have it by default. */
    public static Settings defaults(int ranks) {
      return new Settings(true, false, FlatBuckets.defaultSize(ranks));
    }
  }

  /** The part of a rank in a group, which may be the only one. */
  public DataParallel(Communicator group, ParameterStore store, Settings settings) {
    this.group = group;
    this.store = store;
    int ranks = group.size();
    long elements = store.layout().elements();
    long size = settings.overlapReduce() ? settings.bucketSize() : elements;
    buckets = FlatBuckets.of(elements, ranks, FlatLayout.multipleFor(ranks), size);
    distributed = settings.distributed() && ranks > 1;
    reduction =
        ranks == 1
            ? null
            : new GradientReduction(group, store, buckets, distributed, settings.overlapReduce());
  }

  /** Whether there are other ranks. */
  boolean isShared() {
    return reduction != null;
  }

  /** Whether this rank is the first of them. */
  public boolean isFirst() {
    return group.rank() == 0;
  }

  /** Whether this rank keeps optimizer state of its share alone. */
  public boolean isDistributed() {
    return distributed;
  }

  /** The elements that this rank updates. */
  public OwnedElements owned() {
    return owned(group.rank());
  }

  /** The elements that a rank updates. */
  OwnedElements owned(int rank) {
    return distributed ? buckets.owned(rank) : OwnedElements.all(store.layout().elements());
  }

  /** A micro-batch begins, after the last of which gradients are complete. */
  public void beginMicroBatch(boolean lastOfStep) {
    if (reduction != null) {
      reduction.beginMicroBatch(lastOfStep);
    }
  }

  /** Must hear of every gradient where {@code overlapReduce} is set. */
  public GradientListener gradientListener() {
    return reduction == null ? GradientListener.NONE : reduction;
  }

  /** Leaves the sums over all ranks in the gradients that this rank owns. */
  void reduceGradients() {
    if (reduction != null) {
      reduction.finish();
    }
  }

  /**
   * The sum of what each rank has of a number where each counts its share alone; the number itself
   * where each counts everything.
   */
  double sumOfShares(double value) {
    return distributed ? group.allReduce(value, Reduction.SUM) : value;
  }

  /** Has a parameter's gradient reduced after the passes, since something else comes before. */
  void reduceLate(String parameter) {
    if (reduction != null) {
      reduction.reduceLate(parameter);
    }
  }

  /** Completes the model's values, of which every rank has updated those it owns. */
  void gatherParameters() {
    if (!distributed) {
      return;
    }
    List<Work> works = new ArrayList<>();
    for (FlatBuckets.Bucket bucket : buckets.parts()) {
      Tensor whole = store.values().slice(bucket.first(), bucket.count());
      long share = bucket.count() / group.size();
      works.add(group.startAllGather(whole.slice(share * group.rank(), share), whole));
    }
    works.forEach(Work::await);
  }

  /**
   * Brings what the ranks own together on rank 0.
   *
   * @param owned this rank's elements of a flat tensor, one piece behind the other
   * @param whole receives all of them on rank 0; null elsewhere
   */
  void collect(Backend backend, Tensor owned, @Nullable Tensor whole) {
    List<Work> works = new ArrayList<>();
    if (whole == null) {
      for (OwnedElements.Piece piece : owned().pieces()) {
        works.add(group.startSend(owned.slice(piece.offset(), piece.count()), 0, 0));
      }
    } else {
      copyOwned(backend, owned, whole);
      for (int rank = 1; rank < group.size(); rank++) {
        for (OwnedElements.Piece piece : owned(rank).pieces()) {
          works.add(group.startReceive(whole.slice(piece.first(), piece.count()), rank, 0));
        }
      }
    }
    works.forEach(Work::await);
  }

  /** Takes this rank's elements out of a flat tensor of all. */
  public void takeOwned(Backend backend, Tensor whole, Tensor owned) {
    for (OwnedElements.Piece piece : owned().pieces()) {
      backend.copy(
          whole.slice(piece.first(), piece.count()), owned.slice(piece.offset(), piece.count()));
    }
  }

  private void copyOwned(Backend backend, Tensor owned, Tensor whole) {
    for (OwnedElements.Piece piece : owned().pieces()) {
      backend.copy(
          owned.slice(piece.offset(), piece.count()), whole.slice(piece.first(), piece.count()));
    }
  }
}
