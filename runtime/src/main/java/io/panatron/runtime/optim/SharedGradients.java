package io.panatron.runtime.optim;

import io.panatron.kernels.Backend;
import io.panatron.kernels.Communicator;
import io.panatron.kernels.Reduction;
import io.panatron.kernels.SingleRankCommunicator;
import io.panatron.kernels.Tensor;
import io.panatron.runtime.autograd.Parameter;
import io.panatron.runtime.nn.FlatLayout;
import io.panatron.runtime.nn.ParameterStore;
import io.panatron.runtime.parallel.RankContext;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The gradients of one rank among those that share a model and its samples, any of which it may do
 * alone: completes them with what the others computed, and takes their norm over the whole model.
 *
 * <p>Source: Megatron-Core, finalize_model_grads.py and clip_grads.py.
 */
public final class SharedGradients {
  private final Backend backend;
  private final ParameterStore store;
  private final DataParallel samples;
  private final Communicator tensor;
  private final Communicator model;
  private final @Nullable TiedParameter tied;

  /**
   * A parameter that stands in the first and in the last stage of a pipeline.
   *
   * @param ends the two stages
   */
  public record TiedParameter(String name, Communicator ends) {
    boolean isCounted() {
      return ends.rank() == 0;
    }
  }

  /**
   * Gradients of a rank.
   *
   * @param samples the ranks that hold the same parameters and see other samples
   * @param tensor the ranks that share each layer's matrices
   * @param model all ranks that hold a part of the model
   * @param tied null unless this rank holds such a parameter
   */
  public SharedGradients(
      Backend backend,
      ParameterStore store,
      DataParallel samples,
      Communicator tensor,
      Communicator model,
      @Nullable TiedParameter tied) {
    this.backend = backend;
    this.store = store;
    this.samples = samples;
    this.tensor = tensor;
    this.model = model;
    this.tied = tied;
    if (tied != null) {
      samples.reduceLate(tied.name());
    }
  }

  /** Of a rank that has all of a model and sees all samples. */
  public static SharedGradients alone(Backend backend, ParameterStore store) {
    Communicator self = new SingleRankCommunicator(backend);
    return new SharedGradients(
        backend,
        store,
        new DataParallel(self, store, DataParallel.Settings.defaults(1)),
        self,
        self,
        null);
  }

  /** Of a rank among others, whose parameters are not tied across stages. */
  public static SharedGradients of(RankContext rank, ParameterStore store) {
    Communicator ranks = rank.groups().dataContext();
    return of(
        rank,
        store,
        new DataParallel(ranks, store, DataParallel.Settings.defaults(ranks.size())),
        null);
  }

  /**
   * Of a rank among others.
   *
   * @param tiedName the parameter that the ends of the pipeline share; null if this rank is no end
   *     or there is none
   */
  public static SharedGradients of(
      RankContext rank, ParameterStore store, DataParallel samples, @Nullable String tiedName) {
    return new SharedGradients(
        rank.backend(),
        store,
        samples,
        rank.groups().tensor(),
        rank.groups().model(),
        tiedName == null ? null : new TiedParameter(tiedName, rank.groups().embedding()));
  }

  /** The ranks that hold the same parameters. */
  public DataParallel samples() {
    return samples;
  }

  /** Whether other ranks add to these gradients or hold others of the same model. */
  boolean areShared() {
    return samples.isShared() || model.size() > 1;
  }

  /**
   * Adds up what ranks computed of the same gradient, once after the last backward pass. Of
   * gradients that a distributed optimizer shares out, those of this rank are complete then.
   */
  void complete() {
    if (tied != null) {
      tied.ends().allReduce(store.parameter(tied.name()).trainedGradient(), Reduction.SUM);
    }
    samples.reduceGradients();
    for (FlatLayout.Range range : owned(FlatLayout.Sharing.SUMMED)) {
      tensor.allReduce(slice(range), Reduction.SUM);
    }
  }

  /**
   * The sum of all squares, the same on every rank; not finite if and only if a gradient is not.
   */
  double sumOfSquares() {
    double squares = squares(FlatLayout.Sharing.OWN);
    if (tensor.rank() == 0) {
      squares += squares(FlatLayout.Sharing.REPLICATED) + squares(FlatLayout.Sharing.SUMMED);
    }
    return samples.sumOfShares(model.allReduce(squares, Reduction.SUM));
  }

  private double squares(FlatLayout.Sharing sharing) {
    double squares = 0;
    for (FlatLayout.Range range : counted(owned(sharing))) {
      squares += backend.sumOfSquares(slice(range));
    }
    return squares;
  }

  /** The first parameter of this rank whose gradient, not yet reduced, is not finite. */
  @Nullable String firstNonFinite() {
    for (Parameter parameter : store.trained()) {
      if (!Double.isFinite(backend.sumOfSquares(parameter.trainedGradient()))) {
        return parameter.name();
      }
    }
    return null;
  }

  private Tensor slice(FlatLayout.Range range) {
    return store.gradients().slice(range.first(), range.count());
  }

  /** The elements of a kind that this rank updates. */
  private List<FlatLayout.Range> owned(FlatLayout.Sharing sharing) {
    List<FlatLayout.Range> common = new ArrayList<>();
    for (OwnedElements.Piece piece : samples.owned().pieces()) {
      FlatLayout.Range of = new FlatLayout.Range(piece.first(), piece.count());
      for (FlatLayout.Range range : store.layout().ranges(sharing)) {
        long first = Math.max(of.first(), range.first());
        long end = Math.min(of.end(), range.end());
        if (first < end) {
          common.add(new FlatLayout.Range(first, end - first));
        }
      }
    }
    return common;
  }

  /** Without the parameter that another stage counts. */
  private List<FlatLayout.Range> counted(List<FlatLayout.Range> ranges) {
    if (tied == null || tied.isCounted()) {
      return ranges;
    }
    FlatLayout.Slot slot = store.layout().slot(tied.name());
    long first = slot.first();
    long end = first + FlatLayout.paddedElements(slot.shape());
    List<FlatLayout.Range> rest = new ArrayList<>();
    for (FlatLayout.Range range : ranges) {
      addIfAny(rest, range.first(), Math.min(range.end(), first));
      addIfAny(rest, Math.max(range.first(), end), range.end());
    }
    return rest;
  }

  private static void addIfAny(List<FlatLayout.Range> ranges, long first, long end) {
    if (first < end) {
      ranges.add(new FlatLayout.Range(first, end - first));
    }
  }
}
