package io.panatron.runtime.train;

import io.panatron.runtime.UserError;
import io.panatron.runtime.autograd.TokenLoss;
import io.panatron.runtime.checkpoint.Checkpoint;
import io.panatron.runtime.checkpoint.CheckpointStore;
import io.panatron.runtime.checkpoint.Retention;
import io.panatron.runtime.checkpoint.RunFolder;
import io.panatron.runtime.config.ArgumentsFile;
import io.panatron.runtime.data.BatchSampler;
import io.panatron.runtime.data.BatchSource;
import io.panatron.runtime.model.LoadedModel;
import io.panatron.runtime.model.WeightTransfer;
import io.panatron.runtime.observe.ProgressDisplay;
import io.panatron.runtime.observe.RunLog;
import io.panatron.runtime.optim.Optimizer;
import io.panatron.runtime.parallel.RankContext;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * One run of {@code sft} or {@code pt} on one rank: opens what the configuration names, says what
 * it is about to do, trains, and leaves the run folder.
 */
public final class TrainingSession {
  private final TrainingConfig config;
  private final RankContext rank;
  private final PrintWriter out;
  private final StopRequest stop;
  private final Map<String, String> environment;

  /**
   * A run that has not started.
   *
   * @param out where the user reads
   * @param stop ends the run early when asked to
   * @param environment variables of the process, where trackers find their keys
   */
  public TrainingSession(
      TrainingConfig config,
      RankContext rank,
      PrintWriter out,
      StopRequest stop,
      Map<String, String> environment) {
    this.config = config;
    this.rank = rank;
    this.out = out;
    this.stop = stop;
    this.environment = Map.copyOf(environment);
  }

  /**
   * What a run leaves.
   *
   * @param folder args.json, logging.jsonl and the checkpoints
   * @param lastCheckpoint null if no iteration was run
   * @param stopped whether it ended early because it was asked to
   */
  public record Outcome(
      Path folder, @Nullable Path lastCheckpoint, Progress progress, boolean stopped) {}

  /** Trains to the end, or until asked to stop. */
  public Outcome run() {
    // All that can be wrong with the input is read before anything is written, so that a mistake
    // leaves no empty run folder.
    WatchSettings watch = WatchSettings.of(config.arguments(), environment);
    recoverSharedFolder();
    try (RunInputs inputs = RunInputs.open(config, rank.backend(), this::say)) {
      refuseToReplaceItsSource(inputs);
      SaveSchedule saves = SaveSchedule.of(config, inputs);
      TrainerSettings settings = settings(inputs, saves);
      var schedule = ScheduleArithmetic.schedule(config, inputs.plan().trainIters());
      RunHeader.print(this::say, config, rank, inputs, saves);
      try (LoadedModel model = openModel(inputs)) {
        if (model.initialized()) {
          say("Weights           random from --seed " + config.seed() + ": the folder holds none");
        }
        Optimizer optimizer =
            new Optimizer(rank.backend(), model.run(), config.optimizer(), model.store());
        WeightTransfer transfer = inputs.stateTransfer(rank.backend());
        ResumeState resumed =
            ResumeState.restore(config, inputs, transfer, model, optimizer, rank, this::say);
        TrainingConfig.Checkpoints saving = config.checkpoints();
        if (!stop.begin()) {
          throw new UserError("stopped before training began; nothing was written");
        }
        Path folder = RunFolder.create(saving.save(), saving.addVersion(), LocalDateTime.now());
        say("Run folder        " + folder);
        Progress start = resumed.progress();
        try (CheckpointStore store = CheckpointStore.open(folder, saves.retention());
            RunLog log = new RunLog(folder.resolve("logging.jsonl"));
            ProgressDisplay display =
                ProgressDisplay.open(out, start.iteration(), settings.trainIterations());
            Watching watching =
                new Watching(
                    watch, config, rank, inputs, settings, optimizer, folder, log, display);
            BatchSource batches = trainingBatches(inputs, start);
            CheckpointWriter writer =
                new CheckpointWriter(
                    store,
                    config,
                    inputs,
                    model,
                    optimizer,
                    rank.backend(),
                    watching.reporter(),
                    writeArguments(folder, inputs),
                    resumed.seed())) {
          watching.reporter().restoreWindow(resumed.windowSums());
          TrainStep step = step(inputs, model, optimizer, resumed.seed());
          Trainer trainer =
              new Trainer(
                  settings,
                  step,
                  schedule,
                  batches,
                  evaluation(inputs, model),
                  writer,
                  watching.observer(),
                  stop);
          Progress end = train(trainer, start, writer);
          RunHeader.printActivationPeak(this::say, inputs, step.activationPeak());
          boolean stopped = stop.isRequested() && end.iteration() < settings.trainIterations();
          if (inputs.data().isStreamed()) {
            inputs.data().dropped().describe().forEach(this::say);
          }
          watching.ended(stopped);
          return new Outcome(folder, writer.lastFolder(), end, stopped);
        }
      }
    }
  }

  /**
   * A run that continues in the folder it loads from first clears what a dead run left there:
   * clearing may give a checkpoint its name back, which must not happen once it has been found.
   */
  private void recoverSharedFolder() {
    TrainingConfig.Checkpoints saving = config.checkpoints();
    TrainingConfig.Resume resume = config.resume();
    if (resume != null && !saving.addVersion() && Files.isDirectory(resume.load())) {
      Path load = resume.load().toAbsolutePath().normalize();
      if (load.equals(saving.save().toAbsolutePath().normalize())) {
        CheckpointStore.open(load, Retention.ALL).close();
      }
    }
  }

  /** A run that starts over would write its own iterations over the checkpoint it came from. */
  private void refuseToReplaceItsSource(RunInputs inputs) {
    Checkpoint source = inputs.checkpoint();
    TrainingConfig.Checkpoints saving = config.checkpoints();
    TrainingConfig.Resume resume = config.resume();
    if (source == null || resume == null || !resume.finetune() || saving.addVersion()) {
      return;
    }
    if (saving.save().toAbsolutePath().normalize().equals(source.folder().getParent())) {
      throw new UserError(
          ("--finetune true starts over at iteration 0 and would replace the checkpoints of --save %s,"
                  + " which it loads from; give another --save, or --finetune false to continue")
              .formatted(saving.save()));
    }
  }

  private static Progress train(Trainer trainer, Progress start, CheckpointWriter writer) {
    try {
      return trainer.run(start);
    } catch (NonFiniteLossException e) {
      String unwritten = "";
      try {
        writer.finish();
      } catch (UserError failedSave) {
        e.addSuppressed(failedSave);
        unwritten = "; besides, " + failedSave.getMessage();
      }
      Path last = writer.lastFolder();
      throw new UserError(
          e.getMessage() + (last == null ? "" : "; the last checkpoint is " + last) + unwritten, e);
    }
  }

  private TrainStep step(RunInputs inputs, LoadedModel model, Optimizer optimizer, long seed) {
    return new TrainStep(
        rank,
        model.network().recomputing(inputs.recompute()),
        optimizer,
        config.batches().perTokenLoss(),
        config.checkMemory(),
        tokenLoss(),
        new DropoutStreams(inputs.dropout(config.dropout()), seed, rank.coordinates()));
  }

  private TokenLoss tokenLoss() {
    return config.arguments().flag("enable_dft_loss") ? TokenLoss.DFT : TokenLoss.CROSS_ENTROPY;
  }

  private LoadedModel openModel(RunInputs inputs) {
    return LoadedModel.open(
        rank,
        inputs.modelFolder(),
        inputs.saved(),
        ModelArguments.overrides(config.arguments()).source(),
        new LoadedModel.Options(
            inputs.dtype(),
            true,
            inputs.positions(),
            config.seed(),
            config.checkMemory(),
            config.optimizer().stateDTypes().gradients(inputs.dtype()),
            inputs.tuning()),
        inputs.vocabulary().isNone() ? null : inputs.vocabulary());
  }

  private TrainerSettings settings(RunInputs inputs, SaveSchedule saves) {
    TrainingConfig.Batches batches = config.batches();
    return new TrainerSettings(
        inputs.plan().trainIters(),
        batches.globalBatchSize() / batches.microBatchSize(),
        batches.globalBatchSize(),
        batches.logInterval(),
        saves.saveInterval(),
        saves.evalInterval());
  }

  private BatchSource trainingBatches(RunInputs inputs, Progress start) {
    TrainingConfig.Data data = config.data();
    if (inputs.data().isStreamed()) {
      return BatchSource.streaming(
          inputs.data().openStream(),
          config.batches().microBatchSize(),
          batchSettings(inputs),
          start.consumedSamples());
    }
    BatchSampler.Shape shape =
        new BatchSampler.Shape(
            inputs.data().training().size(), config.batches().microBatchSize(), 0, 1);
    return BatchSource.training(
        inputs.data().training(),
        data.rows().reading().groupByLength()
            ? BatchSampler.groupedByLength(shape, inputs.data().training().lengths())
            : BatchSampler.of(shape, data.cyclic(), data.shuffle(), data.sharded()),
        batchSettings(inputs),
        start.consumedSamples());
  }

  private BatchSource.Settings batchSettings(RunInputs inputs) {
    return config.data().batchSettings(inputs.tokenizer().padId().orElse(0));
  }

  private @Nullable Evaluation evaluation(RunInputs inputs, LoadedModel model) {
    int iterations = inputs.plan().evalIters();
    if (iterations == 0) {
      return null;
    }
    TrainingConfig.Batches batches = config.batches();
    return new Evaluation(
        rank,
        model.network(),
        () ->
            BatchSource.evaluation(
                inputs.data().validation(),
                batches.microBatchSize(),
                0,
                1,
                batchSettings(inputs),
                (long) iterations * batches.globalBatchSize()),
        config.checkMemory(),
        tokenLoss());
  }

  /** Writes args.json into the run folder and returns its text for the checkpoints. */
  private String writeArguments(Path folder, RunInputs inputs) {
    try {
      ArgumentsFile.write(
          config
              .tuner()
              .effective(
                  SaveSchedule.forced(config.arguments(), config.checkpoints().perEpoch()),
                  inputs.model(),
                  inputs.tuning())
              .with("train_iters", inputs.plan().trainIters())
              .with("max_length", inputs.positions())
              .with("new_special_tokens", config.data().newSpecialTokens()),
          folder);
      return Files.readString(folder.resolve(ArgumentsFile.NAME));
    } catch (IOException e) {
      throw new UserError(
          "args.json cannot be written to %s (%s); free space or choose another --save"
              .formatted(folder, e.getMessage()),
          e);
    }
  }

  private void say(String line) {
    out.println(line);
    out.flush();
  }
}
