package io.panatron.runtime.train;

import io.panatron.runtime.data.BatchSource;
import io.panatron.runtime.data.MicroBatch;
import io.panatron.runtime.observe.DataWaitEvent;
import io.panatron.runtime.observe.StepEvent;
import io.panatron.runtime.optim.LearningRateSchedule;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/**
 * The training loop: draw a global batch, step, log, evaluate, save, until the last iteration or a
 * request to stop.
 */
public final class Trainer {
  private final TrainerSettings settings;
  private final TrainStep step;
  private final LearningRateSchedule schedule;
  private final BatchSource batches;
  private final @Nullable Validation evaluation;
  private final CheckpointSink checkpoints;
  private final TrainingObserver observer;
  private final BooleanSupplier stop;

  /**
   * @param batches micro-batches from the point where {@link #run} starts
   * @param evaluation null when there is no validation set
   * @param stop whether to end after the step that was done last; asked equally often on every
   *     rank, which must all get the same answer
   */
  public Trainer(
      TrainerSettings settings,
      TrainStep step,
      LearningRateSchedule schedule,
      BatchSource batches,
      @Nullable Validation evaluation,
      CheckpointSink checkpoints,
      TrainingObserver observer,
      BooleanSupplier stop) {
    this.settings = settings;
    this.step = step;
    this.schedule = schedule;
    this.batches = batches;
    this.evaluation = evaluation;
    this.checkpoints = checkpoints;
    this.observer = observer;
    this.stop = stop;
  }

  /** Trains from {@code start} and returns how far it came. */
  public Progress run(Progress start) {
    Progress progress = start;
    long savedAt = -1;
    boolean dataEnded = false;
    while (progress.iteration() < settings.trainIterations() && !stop.getAsBoolean()) {
      Progress after = iterate(progress);
      if (after == null) {
        dataEnded = true;
        break;
      }
      progress = after;
      tell(checkpoints.takeSaved());
      long iteration = progress.iteration();
      boolean last = iteration == settings.trainIterations();
      if (evaluation != null && (last || iteration % settings.evalInterval() == 0)) {
        evaluate(evaluation, progress);
      }
      if (last || iteration % settings.saveInterval() == 0 || stop.getAsBoolean()) {
        save(progress);
        savedAt = iteration;
      }
    }
    if (dataEnded
        && evaluation != null
        && progress.iteration() > start.iteration()
        && progress.iteration() % settings.evalInterval() != 0) {
      evaluate(evaluation, progress);
    }
    // A stop that arrives between the loop's last look and here, or before the first step, saves
    // too.
    if (savedAt != progress.iteration() && progress.iteration() > start.iteration()) {
      save(progress);
    }
    tell(checkpoints.finish());
    return progress;
  }

  /** One step; null if streamed data end before they fill a global batch. */
  private @Nullable Progress iterate(Progress before) {
    long begin = System.nanoTime();
    StepEvent event = new StepEvent();
    event.begin();
    long iteration = before.iteration() + 1;
    List<MicroBatch> globalBatch = draw(iteration);
    if (globalBatch.size() < settings.microBatches()) {
      return null;
    }
    observer.onBatch(globalBatch, System.nanoTime() - begin);
    double rate = schedule.rateAt(before.scheduledSamples());
    StepResult result = step.run(iteration, globalBatch, rate);
    Progress after = before.after(settings.globalBatchSize(), result.skipped());
    event.iteration = iteration;
    event.loss = result.loss();
    event.gradientNorm = result.gradientNorm();
    event.skipped = result.skipped();
    event.lossScale = result.lossScale().orElse(1);
    event.learningRate = rate;
    event.tokens = result.tokens();
    event.targetTokens = result.targetTokens();
    event.commit();
    double seconds = (System.nanoTime() - begin) * 1e-9;
    observer.onStep(after, result, schedule.rateAt(after.scheduledSamples()), seconds);
    return after;
  }

  private List<MicroBatch> draw(long iteration) {
    List<MicroBatch> drawn = new ArrayList<>(settings.microBatches());
    for (int i = 0; i < settings.microBatches(); i++) {
      DataWaitEvent wait = new DataWaitEvent();
      wait.begin();
      if (!batches.hasNext()) {
        break;
      }
      drawn.add(batches.next());
      wait.iteration = iteration;
      wait.commit();
    }
    return drawn;
  }

  private void evaluate(Validation validation, Progress progress) {
    long begin = System.nanoTime();
    Evaluation.Result result = validation.run(progress.iteration());
    observer.onEvaluation(progress, result, (System.nanoTime() - begin) * 1e-9);
  }

  private void save(Progress progress) {
    observer.onSave(progress);
    checkpoints.save(progress);
    tell(checkpoints.takeSaved());
  }

  private void tell(List<CheckpointSink.Saved> saved) {
    for (CheckpointSink.Saved checkpoint : saved) {
      observer.onCheckpoint(checkpoint.progress(), checkpoint.folder());
    }
  }
}
