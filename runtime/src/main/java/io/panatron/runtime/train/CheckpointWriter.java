package io.panatron.runtime.train;

import io.panatron.runtime.checkpoint.AsyncCheckpoints;
import io.panatron.runtime.checkpoint.CheckpointContents;
import io.panatron.runtime.checkpoint.CheckpointStore;
import io.panatron.runtime.checkpoint.HfModelFolder;
import io.panatron.runtime.checkpoint.TrainerState;
import io.panatron.runtime.model.LoadedModel;
import io.panatron.runtime.model.WeightTransfer;
import io.panatron.runtime.observe.CheckpointStallEvent;
import io.panatron.runtime.optim.DynamicLossScale;
import io.panatron.runtime.optim.Optimizer;
import io.panatron.runtime.optim.WholeState;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** Turns the state of a run into checkpoints, before the next step or while it runs. */
final class CheckpointWriter implements CheckpointSink, AutoCloseable {
  /** Counter of optimizer updates, which bias correction needs. */
  static final String OPTIMIZER_STEPS = TrainerState.OPTIMIZER_STEPS;

  /** Counter of training samples in the data set, to notice a changed one. */
  static final String TRAINING_SAMPLES = "training_samples";

  /** Random state: the seed of dropout, the only thing drawn after the weights. */
  static final String SEED = "seed";

  private final CheckpointStore store;
  private final TrainingConfig config;
  private final RunInputs inputs;
  private final LoadedModel model;
  private final Optimizer optimizer;
  private final WholeState whole;
  private final WeightTransfer transfer;
  private final RunReporter reporter;
  private final String argsJson;
  private final long seed;
  private final @Nullable AsyncCheckpoints background;
  private final Deque<Progress> begun = new ArrayDeque<>();
  private final List<Saved> saved = new ArrayList<>();
  private @Nullable Path lastFolder;

  /**
   * @param whole the optimizer's state, brought together here
   * @param seed of dropout, which a resumed run goes on with
   */
  CheckpointWriter(
      CheckpointStore store,
      TrainingConfig config,
      RunInputs inputs,
      LoadedModel model,
      Optimizer optimizer,
      WholeState whole,
      WeightTransfer transfer,
      RunReporter reporter,
      String argsJson,
      long seed) {
    this.store = store;
    this.config = config;
    this.inputs = inputs;
    this.model = model;
    this.optimizer = optimizer;
    this.whole = whole;
    this.transfer = transfer;
    this.reporter = reporter;
    this.argsJson = argsJson;
    this.seed = seed;
    TrainingConfig.AsyncSave async = config.checkpoints().asyncSave();
    if (async == null) {
      background = null;
      return;
    }
    background = new AsyncCheckpoints(store, async.persistentWorker());
    optimizer.beforeUpdate(this::awaitCopied);
    background.prepare(contents(Progress.START));
  }

  @Override
  public void save(Progress progress) {
    CheckpointStallEvent stall = new CheckpointStallEvent();
    stall.begin();
    whole.collect();
    CheckpointContents contents = contents(progress);
    if (background == null) {
      add(progress, write(contents));
    } else {
      background.save(contents);
      begun.add(progress);
    }
    end(stall, "save", progress.iteration());
  }

  private Path write(CheckpointContents contents) {
    try {
      return store.save(contents);
    } finally {
      transfer.endSaving();
    }
  }

  private void add(Progress progress, Path folder) {
    saved.add(new Saved(progress, folder));
    lastFolder = folder;
  }

  /** The last save's tensors are about to change. */
  private void awaitCopied() {
    if (background == null || begun.isEmpty()) {
      return;
    }
    CheckpointStallEvent stall = new CheckpointStallEvent();
    stall.begin();
    boolean late = !background.isCopied();
    background.awaitCopied();
    if (late) {
      end(stall, "copy", begun.getLast().iteration());
    }
  }

  private static void end(CheckpointStallEvent stall, String reason, long iteration) {
    stall.reason = reason;
    stall.iteration = iteration;
    stall.commit();
  }

  @Override
  public List<Saved> takeSaved() {
    if (background != null) {
      collect(background::poll);
    }
    List<Saved> taken = List.copyOf(saved);
    saved.clear();
    return taken;
  }

  @Override
  public List<Saved> finish() {
    if (background != null && !begun.isEmpty()) {
      CheckpointStallEvent stall = new CheckpointStallEvent();
      stall.begin();
      long last = begun.getLast().iteration();
      collect(background::await);
      end(stall, "end", last);
    }
    return takeSaved();
  }

  private void collect(Supplier<AsyncCheckpoints.@Nullable Written> next) {
    for (var written = next.get(); written != null; written = next.get()) {
      add(begun.remove(), written.folder());
    }
  }

  /** Waits for what is being written. */
  @Override
  public void close() {
    if (background != null) {
      optimizer.beforeUpdate(() -> {});
      background.close();
    }
  }

  private CheckpointContents contents(Progress progress) {
    TrainingConfig.Checkpoints settings = config.checkpoints();
    SavedTensors tensors =
        SavedTensors.of(transfer, model, optimizer, whole, settings.saveOptimizer());
    HfModelFolder folder =
        new HfModelFolder(
            inputs.files(),
            WeightTransfer.fileDtype(model.store().values().dtype()),
            tensors.model(),
            settings.maxShardBytes());
    return new CheckpointContents(
        progress.iteration(),
        folder,
        tensors.mainParameters(),
        tensors.optimizer(),
        state(progress),
        argsJson);
  }

  /** The newest checkpoint of this run; null before the first. */
  @Nullable Path lastFolder() {
    return lastFolder;
  }

  private TrainerState state(Progress progress) {
    Map<String, List<Long>> random =
        config.checkpoints().saveRandomState() ? Map.of(SEED, List.of(seed)) : Map.of();
    Map<String, Double> sums = new TreeMap<>(reporter.windowSums());
    Map<String, Long> counters = new TreeMap<>();
    counters.put(OPTIMIZER_STEPS, optimizer.steps());
    counters.put(TRAINING_SAMPLES, (long) inputs.data().training().size());
    if (optimizer.lossScaler() instanceof DynamicLossScale dynamic) {
      sums.putAll(dynamic.numbers());
      counters.putAll(dynamic.counters());
    }
    Map<String, String> texts = new TreeMap<>(DataAgreement.of(config, inputs));
    if (inputs.template().isDated()) {
      texts.put(DataAgreement.TEMPLATE_TIME, inputs.templateTime().toString());
    }
    return new TrainerState(
        progress.iteration(),
        progress.consumedSamples(),
        0,
        progress.scheduledSamples(),
        random,
        sums,
        counters,
        texts);
  }
}
