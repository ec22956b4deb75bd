package io.panatron.runtime.train;

import io.panatron.kernels.Tensor;
import io.panatron.runtime.checkpoint.CheckpointContents;
import io.panatron.runtime.checkpoint.CheckpointStore;
import io.panatron.runtime.checkpoint.HfModelFolder;
import io.panatron.runtime.checkpoint.TensorSource;
import io.panatron.runtime.checkpoint.TrainerState;
import io.panatron.runtime.model.LoadedModel;
import io.panatron.runtime.model.WeightTransfer;
import io.panatron.runtime.optim.DynamicLossScale;
import io.panatron.runtime.optim.FlatState;
import io.panatron.runtime.optim.Optimizer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** Turns the state of a run into checkpoints. */
final class CheckpointWriter implements CheckpointSink {
  /** Counter of optimizer updates, which bias correction needs. */
  static final String OPTIMIZER_STEPS = "optimizer_steps";

  /** Counter of training samples in the data set, to notice a changed one. */
  static final String TRAINING_SAMPLES = "training_samples";

  /** Random state: the seed of the run. */
  static final String SEED = "seed";

  private final CheckpointStore store;
  private final TrainingConfig config;
  private final RunInputs inputs;
  private final LoadedModel model;
  private final Optimizer optimizer;
  private final WeightTransfer transfer;
  private final RunReporter reporter;
  private final String argsJson;
  private @Nullable Path lastFolder;

  CheckpointWriter(
      CheckpointStore store,
      TrainingConfig config,
      RunInputs inputs,
      LoadedModel model,
      Optimizer optimizer,
      WeightTransfer transfer,
      RunReporter reporter,
      String argsJson) {
    this.store = store;
    this.config = config;
    this.inputs = inputs;
    this.model = model;
    this.optimizer = optimizer;
    this.transfer = transfer;
    this.reporter = reporter;
    this.argsJson = argsJson;
  }

  @Override
  public Path save(Progress progress) {
    TrainingConfig.Checkpoints settings = config.checkpoints();
    Tensor values = model.store().values();
    HfModelFolder folder =
        new HfModelFolder(
            inputs.files(),
            WeightTransfer.fileDtype(values.dtype()),
            transfer.sources(model.store(), values),
            settings.maxShardBytes());
    List<TensorSource> main = new ArrayList<>();
    List<TensorSource> moments = new ArrayList<>();
    if (settings.saveOptimizer()) {
      FlatState narrow = optimizer.narrowParameters();
      if (narrow != null) {
        main.addAll(transfer.sources(narrow, "", scalesName(narrow)));
      } else if (optimizer.mainParameters() != values) {
        main.addAll(transfer.sources(model.store(), optimizer.mainParameters()));
      }
      new TreeMap<>(optimizer.narrowMoments())
          .forEach((name, state) ->
              moments.addAll(transfer.sources(state, name + ".", scalesName(state))));
      new TreeMap<>(optimizer.moments())
          .forEach(
              (name, flat) -> moments.addAll(transfer.sources(model.store(), flat, name + ".")));
    }
    Path saved =
        store.save(
            new CheckpointContents(
                progress.iteration(), folder, main, moments, state(progress), argsJson));
    lastFolder = saved;
    return saved;
  }

  /** The newest checkpoint of this run; null before the first. */
  @Nullable Path lastFolder() {
    return lastFolder;
  }

  /**
   * Under which name the scales of a state are saved; it has the dtype, since the scales are of use
   * to that alone.
   */
  static String scalesName(FlatState state) {
    return state.name() + ".scales." + state.values().dtype();
  }

  private TrainerState state(Progress progress) {
    Map<String, List<Long>> random =
        config.checkpoints().saveRandomState() ? Map.of(SEED, List.of(config.seed())) : Map.of();
    Map<String, Double> sums = new TreeMap<>(reporter.windowSums());
    Map<String, Long> counters = new TreeMap<>();
    counters.put(OPTIMIZER_STEPS, optimizer.steps());
    counters.put(TRAINING_SAMPLES, (long) inputs.data().training().size());
    if (optimizer.lossScaler() instanceof DynamicLossScale dynamic) {
      sums.putAll(dynamic.numbers());
      counters.putAll(dynamic.counters());
    }
    return new TrainerState(
        progress.iteration(),
        progress.consumedSamples(),
        0,
        progress.scheduledSamples(),
        random,
        sums,
        counters);
  }
}
