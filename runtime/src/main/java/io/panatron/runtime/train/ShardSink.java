package io.panatron.runtime.train;

import io.panatron.runtime.model.LoadedModel;
import io.panatron.runtime.model.WeightTransfer;
import io.panatron.runtime.optim.Optimizer;
import java.util.List;

/**
 * The checkpoints of a rank that writes none: it hands its parts to the rank that does.
 *
 * @param withOptimizer whether the optimizer's state is saved, too
 */
record ShardSink(
    WeightTransfer transfer, LoadedModel model, Optimizer optimizer, boolean withOptimizer)
    implements CheckpointSink {

  @Override
  public void save(Progress progress) {
    SavedTensors.of(transfer, model, optimizer, withOptimizer);
    transfer.serveSaving();
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
