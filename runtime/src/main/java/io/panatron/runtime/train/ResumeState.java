package io.panatron.runtime.train;

import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import io.panatron.runtime.UserError;
import io.panatron.runtime.checkpoint.Checkpoint;
import io.panatron.runtime.checkpoint.SafetensorsFile;
import io.panatron.runtime.checkpoint.TrainerState;
import io.panatron.runtime.model.LoadedModel;
import io.panatron.runtime.model.WeightTransfer;
import io.panatron.runtime.optim.DynamicLossScale;
import io.panatron.runtime.optim.FlatState;
import io.panatron.runtime.optim.Optimizer;
import io.panatron.runtime.parallel.RankContext;
import java.lang.foreign.Arena;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * What a run takes over from a checkpoint besides the model's weights.
 *
 * <p>With {@code --finetune true} nothing: iteration 0, fresh optimizer. Otherwise the iteration
 * and the data position, and the optimizer's state unless {@code --no_load_optim}.
 *
 * @param progress where to continue
 * @param windowSums the log window that the checkpoint broke off
 */
record ResumeState(Progress progress, Map<String, Double> windowSums) {
  private static final ResumeState FRESH = new ResumeState(Progress.START, Map.of());

  /**
   * Finds the checkpoint of {@code --load}.
   *
   * @return null if there is none and {@code --exit_on_missing_checkpoint false} allows it
   */
  static @Nullable Checkpoint open(
      TrainingConfig.Resume resume, TrainingConfig config, Consumer<String> say) {
    try {
      return Checkpoint.open(resume.load(), say);
    } catch (UserError missing) {
      if (resume.required() || config.arguments().value("model") == null) {
        throw missing;
      }
      say.accept(
          missing.getMessage()
              + " Starting from --model instead, as --exit_on_missing_checkpoint false allows.");
      return null;
    }
  }

  /** Restores the optimizer and says where to continue; the model's weights are loaded already. */
  static ResumeState restore(
      TrainingConfig config,
      RunInputs inputs,
      WeightTransfer transfer,
      LoadedModel model,
      Optimizer optimizer,
      RankContext rank,
      Consumer<String> say) {
    Checkpoint checkpoint = inputs.checkpoint();
    TrainingConfig.Resume resume = config.resume();
    if (checkpoint == null || resume == null) {
      return FRESH;
    }
    Restoration restoration = new Restoration(checkpoint, transfer, model, optimizer, rank);
    restoration.loadMainParameters(config.checkMemory());
    if (resume.finetune()) {
      say.accept("Weights           from " + checkpoint.folder() + ", starting at iteration 0");
      return FRESH;
    }
    TrainerState state = checkpoint.trainerState();
    if (resume.loadOptimizer()) {
      restoration.loadMoments(config.checkMemory());
      optimizer.restoreSteps(state.counters().getOrDefault(CheckpointWriter.OPTIMIZER_STEPS, 0L));
      if (optimizer.lossScaler() instanceof DynamicLossScale dynamic
          && !dynamic.restore(state.sums(), state.counters())) {
        say.accept("Note: the checkpoint knows no loss scale, so it starts at " + dynamic.scale());
      }
    }
    if (resume.loadRandomState()) {
      checkSeed(config, state, say);
    }
    checkData(config, inputs, state);
    say.accept(
        "Resuming          %s at iteration %d, %d samples consumed"
            .formatted(checkpoint.folder(), state.iteration(), state.consumedTrainSamples()));
    return new ResumeState(
        new Progress(state.iteration(), state.consumedTrainSamples(), state.schedulerSteps()),
        state.sums());
  }

  private static void checkSeed(TrainingConfig config, TrainerState state, Consumer<String> say) {
    List<Long> seed = state.randomStates().get(CheckpointWriter.SEED);
    if (seed != null && !seed.equals(List.of(config.seed()))) {
      say.accept(
          "Note: the checkpoint was made with --seed %d, this run has --seed %d"
              .formatted(seed.getFirst(), config.seed()));
    }
  }

  private static void checkData(TrainingConfig config, RunInputs inputs, TrainerState state) {
    Long saved = state.counters().get(CheckpointWriter.TRAINING_SAMPLES);
    int now = inputs.data().training().size();
    if (saved != null && saved != now) {
      throw new UserError(
          ("the checkpoint was trained on %d samples, but --dataset now gives %d, so its place in the"
                  + " data cannot be found again; use the same data and --max_length, or --finetune true")
              .formatted(saved, now));
    }
    int step = config.batches().microBatchSize();
    if (state.consumedTrainSamples() % step != 0) {
      throw new UserError(
          ("the checkpoint stands after %d samples, which is no multiple of --micro_batch_size %d;"
                  + " choose one that divides it")
              .formatted(state.consumedTrainSamples(), step));
    }
  }

  /** Copies a checkpoint's tensors into a running optimizer. */
  private record Restoration(
      Checkpoint checkpoint,
      WeightTransfer transfer,
      LoadedModel model,
      Optimizer optimizer,
      RankContext rank) {

    /** The exact weights, where the model's own dtype is narrower. */
    void loadMainParameters(boolean checkMemory) {
      try (Arena arena = Arena.ofConfined();
          MemoryScope scratch = rank.memory().scope("checkpoint loading", checkMemory)) {
        SafetensorsFile file = checkpoint.openMainParameters(arena);
        if (file == null) {
          optimizer.adoptModelValues();
          return;
        }
        FlatState narrow = optimizer.narrowParameters();
        if (narrow != null) {
          load(file, "", narrow);
          return;
        }
        Tensor main = optimizer.mainParameters();
        transfer.load(file.tensors(), "", model.store(), main, scratch);
        optimizer.publishMainParameters();
      }
    }

    void loadMoments(boolean checkMemory) {
      try (Arena arena = Arena.ofConfined();
          MemoryScope scratch = rank.memory().scope("checkpoint loading", checkMemory)) {
        SafetensorsFile file = checkpoint.openOptimizer(arena);
        if (file == null) {
          throw new UserError(
              checkpoint.folder()
                  + " holds no optimizer state (it was saved with --no_save_optim); add"
                  + " --no_load_optim true to continue with a fresh optimizer");
        }
        optimizer
            .moments()
            .forEach((name, flat) ->
                transfer.load(file.tensors(), name + ".", model.store(), flat, scratch));
        optimizer.narrowMoments().forEach((name, state) -> load(file, name + ".", state));
      }
    }

    private void load(SafetensorsFile file, String prefix, FlatState state) {
      String scales = CheckpointWriter.scalesName(state);
      transfer.load(file.tensors(), prefix, state, file.tensors().get(scales));
    }
  }
}
