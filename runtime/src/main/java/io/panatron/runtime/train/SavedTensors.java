package io.panatron.runtime.train;

import io.panatron.kernels.Tensor;
import io.panatron.runtime.checkpoint.TensorSource;
import io.panatron.runtime.model.LoadedModel;
import io.panatron.runtime.model.WeightTransfer;
import io.panatron.runtime.optim.FlatState;
import io.panatron.runtime.optim.Optimizer;
import io.panatron.runtime.optim.WholeState;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;

/**
 * The tensors of a checkpoint. Every rank of a tensor-parallel group lists them, in the same order.
 *
 * @param model under the names of Hugging Face
 * @param mainParameters where they are not the model's own
 * @param optimizer moments
 */
record SavedTensors(
    List<TensorSource> model, List<TensorSource> mainParameters, List<TensorSource> optimizer) {

  /**
   * Lists the tensors of a run.
   *
   * @param state what was collected of the optimizer's state
   * @param withOptimizer whether main parameters and moments are saved, too
   */
  static SavedTensors of(
      WeightTransfer transfer,
      LoadedModel model,
      Optimizer optimizer,
      WholeState state,
      boolean withOptimizer) {
    transfer.beginSaving();
    Tensor values = model.store().values();
    List<TensorSource> weights = transfer.sources(model.store(), values);
    List<TensorSource> main = new ArrayList<>();
    List<TensorSource> moments = new ArrayList<>();
    if (withOptimizer) {
      FlatState narrow = optimizer.narrowParameters();
      if (narrow != null) {
        main.addAll(transfer.sources(narrow, "", scalesName(narrow)));
      } else if (state.mainParameters() != values) {
        main.addAll(transfer.sources(model.store(), state.mainParameters()));
      }
      new TreeMap<>(optimizer.narrowMoments())
          .forEach((name, moment) ->
              moments.addAll(transfer.sources(moment, name + ".", scalesName(moment))));
      new TreeMap<>(state.moments())
          .forEach(
              (name, flat) -> moments.addAll(transfer.sources(model.store(), flat, name + ".")));
    }
    return new SavedTensors(weights, main, moments);
  }

  /**
   * Under which name the scales of a state are saved; it has the dtype, since the scales are of use
   * to that alone.
   */
  static String scalesName(FlatState state) {
    return state.name() + ".scales." + state.values().dtype();
  }
}
