package io.panatron.runtime.train;

import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import io.panatron.runtime.UserError;
import io.panatron.runtime.checkpoint.Checkpoint;
import io.panatron.runtime.checkpoint.SafetensorsFile;
import io.panatron.runtime.checkpoint.SafetensorsTensor;
import io.panatron.runtime.checkpoint.TrainerState;
import io.panatron.runtime.model.LoadedModel;
import io.panatron.runtime.model.ModelConfig;
import io.panatron.runtime.model.WeightTransfer;
import io.panatron.runtime.optim.DynamicLossScale;
import io.panatron.runtime.optim.FlatState;
import io.panatron.runtime.optim.Optimizer;
import io.panatron.runtime.parallel.RankContext;
import java.lang.foreign.Arena;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
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
 * @param seed of dropout: the checkpoint's random state, else this run's
 */
record ResumeState(Progress progress, Map<String, Double> windowSums, long seed) {
  private static ResumeState fresh(TrainingConfig config) {
    return new ResumeState(Progress.START, Map.of(), config.seed());
  }

  /**
   * Finds the checkpoint of {@code --load}.
   *
   * @return null if there is none and {@code --exit_on_missing_checkpoint false} allows it; damaged
   *     ones are an error nevertheless
   */
  static @Nullable Checkpoint open(
      TrainingConfig.Resume resume, TrainingConfig config, Consumer<String> say) {
    Checkpoint found = Checkpoint.find(resume.load(), say);
    if (found == null) {
      UserError missing = Checkpoint.missing(resume.load());
      if (resume.required() || config.arguments().value("model") == null) {
        throw missing;
      }
      say.accept(
          missing.getMessage()
              + " Starting from --model instead, as --exit_on_missing_checkpoint false allows.");
    }
    return found;
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
      return fresh(config);
    }
    if (!inputs.vocabulary().isNone() && !resume.finetune()) {
      throw new UserError(
          "--new_special_tokens adds %s to the tokenizer of %s, whose optimizer knows nothing of them; add --finetune true to start over from its weights"
              .formatted(
                  String.join(" ", inputs.tokenizer().addedTokens().ids().keySet()),
                  checkpoint.folder()));
    }
    // The tensors of the checkpoint have its own number of rows.
    WeightTransfer saved =
        inputs.vocabulary().isNone()
            ? transfer
            : new WeightTransfer(
                rank.backend(),
                ModelConfig.read(checkpoint.folder()).withOutput(inputs.task().output()),
                inputs.model(),
                model.parallel(),
                rank.memory());
    Restoration restoration = new Restoration(checkpoint, saved, model, optimizer, rank);
    restoration.loadMainParameters(config.checkMemory());
    if (resume.finetune()) {
      say.accept("Weights           from " + checkpoint.folder() + ", starting at iteration 0");
      return fresh(config);
    }
    TrainerState state = checkpoint.trainerState();
    if (resume.loadOptimizer() && !restoration.isFresh(state)) {
      restoration.loadMoments(config.checkMemory());
      optimizer.restoreSteps(state.counters().getOrDefault(CheckpointWriter.OPTIMIZER_STEPS, 0L));
      if (optimizer.lossScaler() instanceof DynamicLossScale dynamic
          && !dynamic.restore(state.sums(), state.counters())) {
        say.accept("Note: the checkpoint knows no loss scale, so it starts at " + dynamic.scale());
      }
    }
    long seed = resume.loadRandomState() ? seed(config, state, say) : config.seed();
    checkData(config, inputs, state, rank.sizes().data());
    say.accept(
        "Resuming          %s at iteration %d, %d samples consumed"
            .formatted(checkpoint.folder(), state.iteration(), state.consumedTrainSamples()));
    return new ResumeState(
        new Progress(state.iteration(), state.consumedTrainSamples(), state.schedulerSteps()),
        state.sums(),
        seed);
  }

  private static long seed(TrainingConfig config, TrainerState state, Consumer<String> say) {
    List<Long> saved = state.randomStates().get(CheckpointWriter.SEED);
    if (saved == null) {
      return config.seed();
    }
    long seed = saved.getFirst();
    if (seed != config.seed()) {
      say.accept(
          "Note: the checkpoint was made with --seed %d, this run has --seed %d%s"
              .formatted(
                  seed,
                  config.seed(),
                  config.dropout().areZero()
                      ? ""
                      : "; dropout goes on with the checkpoint's, unless --no_load_rng true"));
    }
    return seed;
  }

  private static void checkData(
      TrainingConfig config, RunInputs inputs, TrainerState state, int dataRanks) {
    Long saved = state.counters().get(CheckpointWriter.TRAINING_SAMPLES);
    int now = inputs.data().training().size();
    if (saved != null && (saved == 0) != inputs.data().isStreamed()) {
      throw new UserError(
          ("the checkpoint was trained with --streaming %b, which takes samples in another order than"
                  + " --streaming %b; resume as it was trained, or add --finetune true to start over from"
                  + " its weights")
              .formatted(saved == 0, saved != 0));
    }
    if (saved != null && saved != now) {
      throw new UserError(
          ("the checkpoint was trained on %d samples, but --dataset now gives %d, so its place in the"
                  + " data cannot be found again; use the same data and --max_length, or --finetune true")
              .formatted(saved, now));
    }
    DataAgreement.require(state.texts(), DataAgreement.of(config, inputs));
    int step = config.batches().microBatchSize() * dataRanks;
    if (state.consumedTrainSamples() % step != 0) {
      throw new UserError(
          ("the checkpoint stands after %d samples, which is no multiple of --micro_batch_size %d%s;"
                  + " choose one that divides it")
              .formatted(
                  state.consumedTrainSamples(),
                  config.batches().microBatchSize(),
                  dataRanks == 1 ? "" : " times the " + dataRanks + " data-parallel ranks"));
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
        Tensor main = optimizer.mainParameters();
        FlatState narrow = optimizer.narrowParameters();
        if (narrow == null && main == model.store().values()) {
          return;
        }
        SafetensorsFile file = checkpoint.openMainParameters(arena);
        optimizer.adoptModelValues();
        if (narrow != null) {
          if (file != null) {
            load(file.tensors(), "", narrow);
          }
          return;
        }
        // Without such a file the weights are all there is, and may be finer than the model's.
        Map<String, SafetensorsTensor> exact =
            file == null ? checkpoint.openWeights(arena).tensors() : file.tensors();
        load(exact, "", main, scratch);
        optimizer.publishMainParameters();
      }
    }

    /** An export begins where no optimizer has done anything yet, and saves no state of one. */
    boolean isFresh(TrainerState state) {
      if (!state.hasFreshOptimizer()) {
        return false;
      }
      try (Arena arena = Arena.ofConfined()) {
        return checkpoint.openOptimizer(arena) == null;
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
        requireSameOptimizer(file);
        optimizer
            .moments()
            .forEach((name, flat) -> load(file.tensors(), name + ".", flat, scratch));
        optimizer.narrowMoments().forEach((name, state) -> load(file.tensors(), name + ".", state));
      }
    }

    /** Loads what this rank keeps of a flat tensor; every rank reads all of it. */
    private void load(
        Map<String, SafetensorsTensor> tensors, String prefix, Tensor flat, MemoryScope scratch) {
      if (!optimizer.samples().isDistributed()) {
        transfer.load(tensors, prefix, model.store(), flat, scratch);
        return;
      }
      long elements = model.store().layout().elements();
      Tensor whole = scratch.allocate("whole state", flat.dtype(), elements);
      rank.backend().fill(whole, 0);
      transfer.load(tensors, prefix, model.store(), whole, scratch);
      optimizer.samples().takeOwned(rank.backend(), whole, flat);
      scratch.release(whole);
    }

    private void requireSameOptimizer(SafetensorsFile file) {
      Set<String> moments = new TreeSet<>(optimizer.moments().keySet());
      moments.addAll(optimizer.narrowMoments().keySet());
      for (String moment : moments) {
        if (file.tensors().keySet().stream().noneMatch(name -> name.startsWith(moment + "."))) {
          throw new UserError(
              ("%s holds the state of --optimizer %s, which has no %s; continue with that optimizer, or"
                      + " add --no_load_optim true")
                  .formatted(
                      checkpoint.folder(), checkpoint.args().path("optimizer").asText(), moment));
        }
      }
    }

    private void load(Map<String, SafetensorsTensor> tensors, String prefix, FlatState state) {
      transfer.load(tensors, prefix, state, tensors.get(SavedTensors.scalesName(state)));
    }
  }
}
