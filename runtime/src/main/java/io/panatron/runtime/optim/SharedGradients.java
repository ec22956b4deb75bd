package io.panatron.runtime.optim;

import io.panatron.kernels.Backend;
import io.panatron.kernels.Communicator;
import io.panatron.kernels.Reduction;
import io.panatron.kernels.Tensor;
import io.panatron.runtime.nn.FlatLayout;
import io.panatron.runtime.nn.ParameterStore;
import io.panatron.runtime.parallel.RankContext;
import java.nio.charset.StandardCharsets;

/**
 * The gradients of one rank among those that share a model's matrices: completes those of
 * parameters that every rank has, and counts these once.
 *
 * <p>Source: Megatron-Core, finalize_model_grads.py and clip_grads.py.
 *
 * @param tensor the ranks that share each layer's matrices
 * @param model all ranks that hold a part of the model
 */
public record SharedGradients(
    Backend backend, ParameterStore store, Communicator tensor, Communicator model)
    implements GradientGroup {

  /** The gradients of a rank's store, shared or not. */
  public static GradientGroup of(RankContext rank, ParameterStore store) {
    Communicator model = rank.groups().model();
    return model.size() == 1
        ? new LocalGradients(rank.backend(), store)
        : new SharedGradients(rank.backend(), store, rank.groups().tensor(), model);
  }

  @Override
  public void complete() {
    for (FlatLayout.Range range : store.layout().ranges(FlatLayout.Sharing.SUMMED)) {
      tensor.allReduce(slice(range), Reduction.SUM);
    }
  }

  @Override
  public double sumOfSquares() {
    double squares = squares(FlatLayout.Sharing.OWN);
    if (tensor.rank() == 0) {
      squares += squares(FlatLayout.Sharing.REPLICATED) + squares(FlatLayout.Sharing.SUMMED);
    }
    return model.allReduce(squares, Reduction.SUM);
  }

  private double squares(FlatLayout.Sharing sharing) {
    double squares = 0;
    for (FlatLayout.Range range : store.layout().ranges(sharing)) {
      squares += backend.sumOfSquares(slice(range));
    }
    return squares;
  }

  private Tensor slice(FlatLayout.Range range) {
    return store.gradients().slice(range.first(), range.count());
  }

  @Override
  public String firstNonFinite() {
    String own = LocalGradients.firstNonFinite(backend, store);
    byte[] name = own == null ? new byte[0] : own.getBytes(StandardCharsets.UTF_8);
    return model.allGather(name).stream()
        .filter(bytes -> bytes.length > 0)
        .findFirst()
        .map(bytes -> new String(bytes, StandardCharsets.UTF_8))
        .orElseThrow(LocalGradients::overflow);
  }
}
