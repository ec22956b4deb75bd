package io.panatron.runtime.train;

import io.panatron.runtime.model.LoadedModel;
import io.panatron.runtime.model.WeightTransfer;
import io.panatron.runtime.optim.Optimizer;
import io.panatron.runtime.optim.WholeState;
import java.util.List;

/**
 * The checkpoints of a rank that writes none: it hands its parts to the rank that does.
 *
 * @param state the optimizer's, brought together on the first of the ranks that share it
 * @param withOptimizer whether the optimizer's state is saved, too
 */
record ShardSink(
    WeightTransfer transfer,
    LoadedModel model,
    Optimizer optimizer,
    WholeState state,
    boolean withOptimizer)
    implements CheckpointSink {

  @Override
  public void save(Progress progress) {
    state.collect();
    if (state.isHere()) {
      SavedTensors.of(transfer, model, optimizer, state, withOptimizer);
      transfer.serveSaving();
    }
  }

  @Override
  public List<Saved> takeSaved() {
    return List.of();
  }

  @Override
  public List<Saved> finish() {
    return List.of();
  }
}
