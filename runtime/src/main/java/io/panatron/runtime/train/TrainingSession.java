package io.panatron.runtime.train;

import io.panatron.kernels.Reduction;
import io.panatron.runtime.UserError;
import io.panatron.runtime.checkpoint.Checkpoint;
import io.panatron.runtime.checkpoint.CheckpointStore;
import io.panatron.runtime.checkpoint.Retention;
import io.panatron.runtime.checkpoint.RunFolder;
import io.panatron.runtime.config.ArgumentsFile;
import io.panatron.runtime.config.ParsedArguments;
import io.panatron.runtime.data.BatchSampler;
import io.panatron.runtime.data.BatchSource;
import io.panatron.runtime.model.LoadedModel;
import io.panatron.runtime.model.ModelBuilder;
import io.panatron.runtime.model.WeightTransfer;
import io.panatron.runtime.observe.ProgressDisplay;
import io.panatron.runtime.observe.ResumedLog;
import io.panatron.runtime.observe.RunLog;
import io.panatron.runtime.optim.DataParallel;
import io.panatron.runtime.optim.Optimizer;
import io.panatron.runtime.optim.SharedGradients;
import io.panatron.runtime.optim.WholeState;
import io.panatron.runtime.parallel.RankContext;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * One run of {@code sft} or {@code pt} on one rank: opens what the configuration names, says what
 * it is about to do, trains, and leaves the run folder.
 */
public final class TrainingSession {
  private static final String LOG = "logging.jsonl";

  private final TrainingConfig config;
  private final RankContext rank;
  private final PrintWriter out;
  private final StopRequest stop;
  private final Map<String, String> environment;
  private final SharedInputs shared;

  /** A run of one rank; arguments as below. */
  public TrainingSession(
      TrainingConfig config,
      RankContext rank,
      PrintWriter out,
      StopRequest stop,
      Map<String, String> environment) {
    this(config, rank, out, stop, environment, new SharedInputs());
  }

  /**
   * A run that has not started.
   *
   * @param out where the user reads
   * @param stop ends the run early when asked to
   * @param environment variables of the process, where trackers find their keys
   * @param shared what all ranks of this virtual machine read
   */
  public TrainingSession(
      TrainingConfig config,
      RankContext rank,
      PrintWriter out,
      StopRequest stop,
      Map<String, String> environment,
      SharedInputs shared) {
    this.shared = shared;
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

  /** Trains to the end, or until asked to stop; the main rank. */
  public Outcome run() {
    // All that can be wrong with the input is read before anything is written, so that a mistake
    // leaves no empty run folder.
    WatchSettings watch = WatchSettings.of(config.arguments(), environment);
    recoverSharedFolder();
    try (RunInputs inputs = shared.open(rank, this::openInputs)) {
      SaveSchedule saves = SaveSchedule.of(config, inputs);
      TrainerSettings settings = settings(inputs, saves);
      var schedule = ScheduleArithmetic.schedule(config, inputs.plan().trainIters());
      RunHeader.print(this::say, config, rank, inputs, saves);
      try (LoadedModel model = openModel(inputs)) {
        if (model.initialized()) {
          say("Weights           random from --seed " + config.seed() + ": the folder holds none");
        }
        Optimizer optimizer = optimizer(model);
        WeightTransfer transfer = transfer(inputs, model);
        ResumeState resumed =
            ResumeState.restore(config, inputs, transfer, model, optimizer, rank, this::say);
        TrainingConfig.Checkpoints saving = config.checkpoints();
        if (!stop.begin()) {
          throw new UserError("stopped before training began; nothing was written");
        }
        Path folder = RunFolder.create(saving.save(), saving.addVersion(), LocalDateTime.now());
        say("Run folder        " + folder);
        Progress start = resumed.progress();
        if (sharesFolder() && start.iteration() > 0) {
          ResumedLog.cut(folder.resolve(LOG), start.iteration());
        }
        try (CheckpointStore store = CheckpointStore.open(folder, saves.retention());
            RunLog log = new RunLog(folder.resolve(LOG));
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
                    wholeState(model, optimizer),
                    transfer,
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
                  evaluation(inputs, model, folder),
                  writer,
                  watching.observer(),
                  this::isStopping);
          Progress end = train(trainer, start, writer);
          RunHeader.printActivationPeak(this::say, inputs, rank.sizes(), step.activationPeak());
          boolean stopped = stop.isRequested() && end.iteration() < settings.trainIterations();
          if (inputs.data().isStreamed()) {
            inputs.data().dropped().describe().forEach(this::say);
          }
          watching.ended(stopped);
          rank.groups().world().barrier();
          return new Outcome(folder, writer.lastFolder(), end, stopped);
        }
      }
    }
  }

  /** Trains as {@link #run} does on the main rank, without a word and without files. */
  public void follow() {
    RunInputs inputs = shared.open(rank, this::openInputs);
    SaveSchedule saves = SaveSchedule.of(config, inputs);
    TrainerSettings settings = settings(inputs, saves);
    try (LoadedModel model = openModel(inputs)) {
      Optimizer optimizer = optimizer(model);
      WeightTransfer transfer = transfer(inputs, model);
      ResumeState resumed =
          ResumeState.restore(config, inputs, transfer, model, optimizer, rank, line -> {});
      try (BatchSource batches = trainingBatches(inputs, resumed.progress())) {
        new Trainer(
                settings,
                step(inputs, model, optimizer, resumed.seed()),
                ScheduleArithmetic.schedule(config, inputs.plan().trainIters()),
                batches,
                evaluation(inputs, model, null),
                new ShardSink(
                    transfer,
                    model,
                    optimizer,
                    wholeState(model, optimizer),
                    config.checkpoints().saveOptimizer()),
                TrainingObserver.all(List.of()),
                this::isStopping)
            .run(resumed.progress());
      } catch (NonFiniteLossException e) {
        throw new UserError(String.valueOf(e.getMessage()), e);
      }
      // What the main rank opened stays open until nobody reads it any more.
      rank.groups().world().barrier();
    } catch (NonFiniteLossException e) {
      throw new UserError(String.valueOf(e.getMessage()), e);
    }
  }

  private RunInputs openInputs() {
    RunInputs inputs = RunInputs.open(config, rank.backend(), rank.sizes().data(), this::say);
    boolean fits = false;
    try {
      ModelBuilder.requireShares(inputs.model(), rank.sizes().tensor());
      inputs.task().requireRanks(rank.sizes().world());
      refuseToReplaceItsSource(inputs);
      fits = true;
      return inputs;
    } finally {
      if (!fits) {
        inputs.close();
      }
    }
  }

  private Optimizer optimizer(LoadedModel model) {
    return new Optimizer(
        rank.backend(),
        model.run(),
        config.optimizer(),
        model.store(),
        SharedGradients.of(
            rank,
            model.store(),
            new DataParallel(
                rank.groups().dataContext(),
                model.store(),
                ParallelArguments.dataParallel(config.arguments(), rank.sizes())),
            null));
  }

  private WholeState wholeState(LoadedModel model, Optimizer optimizer) {
    return new WholeState(
        rank.backend(),
        model.run(),
        model.store(),
        optimizer,
        config.checkpoints().saveOptimizer());
  }

  private WeightTransfer transfer(RunInputs inputs, LoadedModel model) {
    return new WeightTransfer(rank.backend(), inputs.model(), model.parallel(), rank.memory());
  }

  /** Whether any rank was asked to stop: all ask at the same points and get the same answer. */
  private boolean isStopping() {
    double asked = stop.isRequested() ? 1 : 0;
    return rank.groups().world().allReduce(asked, Reduction.MAX) > 0;
  }

  /**
   * A run that continues in the folder it loads from first clears what a dead run left there:
   * clearing may give a checkpoint its name back, which must not happen once it has been found.
   */
  private void recoverSharedFolder() {
    if (sharesFolder()) {
      CheckpointStore.open(config.checkpoints().save(), Retention.ALL).close();
    }
  }

  /** Whether the run goes on in the folder that it loads from. */
  private boolean sharesFolder() {
    TrainingConfig.Checkpoints saving = config.checkpoints();
    TrainingConfig.Resume resume = config.resume();
    return resume != null
        && !saving.addVersion()
        && Files.isDirectory(resume.load())
        && resume
            .load()
            .toAbsolutePath()
            .normalize()
            .equals(saving.save().toAbsolutePath().normalize());
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
    return inputs
        .task()
        .objective()
        .step(
            rank,
            model.network().recomputing(inputs.recompute()),
            optimizer,
            config.checkMemory(),
            new DropoutStreams(config.dropout(), seed, rank.coordinates()));
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
            config.optimizer().stateDTypes().gradients(inputs.dtype())),
        inputs.vocabulary().isNone() ? null : inputs.vocabulary());
  }

  private TrainerSettings settings(RunInputs inputs, SaveSchedule saves) {
    TrainingConfig.Batches batches = config.batches();
    return new TrainerSettings(
        inputs.plan().trainIters(),
        batches.globalBatchSize() / batches.microBatchSize() / rank.sizes().data(),
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
            inputs.data().training().size(),
            config.batches().microBatchSize(),
            rank.coordinates().data().index(),
            rank.coordinates().data().size());
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

  private @Nullable Validation evaluation(
      RunInputs inputs, LoadedModel model, @Nullable Path folder) {
    int iterations = inputs.plan().evalIters();
    if (iterations == 0) {
      return null;
    }
    TrainingConfig.Batches batches = config.batches();
    Supplier<BatchSource> batchSource =
        () ->
            BatchSource.evaluation(
                inputs.data().validation(),
                batches.microBatchSize(),
                rank.coordinates().data().index(),
                rank.coordinates().data().size(),
                batchSettings(inputs),
                (long) iterations * batches.globalBatchSize());
    return inputs
        .task()
        .objective()
        .validation(rank, model.network(), batchSource, config.checkMemory(), predictions(folder));
  }

  private @Nullable PredictionLog predictions(@Nullable Path folder) {
    ParsedArguments arguments = config.arguments();
    return folder != null && arguments.command().equals("sft") && arguments.flag("save_predictions")
        ? new PredictionLog(folder)
        : null;
  }

  /** Writes args.json into the run folder and returns its text for the checkpoints. */
  private String writeArguments(Path folder, RunInputs inputs) {
    try {
      ArgumentsFile.write(
          inputs
              .task()
              .complete(SaveSchedule.forced(config.arguments(), config.checkpoints().perEpoch()))
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
