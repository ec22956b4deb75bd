package io.panatron.runtime.train;

import io.panatron.runtime.data.MicroBatch;
import java.nio.file.Path;
import java.util.List;

/** Hears of what the training loop does: the log, the terminal, TensorBoard. */
public interface TrainingObserver {
  /**
   * Before every step, when its global batch has been drawn.
   *
   * @param waitNanos wall time of the drawing
   */
  default void onBatch(List<MicroBatch> batch, long waitNanos) {}

  /**
   * After every step.
   *
   * @param nextLearningRate the rate after the scheduler stepped, which is what logs show
   * @param seconds wall time of the step, data wait included
   */
  default void onStep(
      Progress progress, StepResult result, double nextLearningRate, double seconds) {}

  /** After an evaluation. */
  default void onEvaluation(Progress progress, Evaluation.Result result, double seconds) {}

  /** Before a checkpoint is written: what it counts on must be on the disk when it is. */
  default void onSave(Progress progress) {}

  /**
   * After a checkpoint was committed; with {@code --async_save} some steps later, between two
   * steps.
   */
  default void onCheckpoint(Progress progress, Path folder) {}

  /** One that tells several, in their order. */
  static TrainingObserver all(List<TrainingObserver> observers) {
    return new TrainingObserver() {
      @Override
      public void onBatch(List<MicroBatch> batch, long waitNanos) {
        observers.forEach(observer -> observer.onBatch(batch, waitNanos));
      }

      @Override
      public void onStep(Progress progress, StepResult result, double rate, double seconds) {
        observers.forEach(observer -> observer.onStep(progress, result, rate, seconds));
      }

      @Override
      public void onEvaluation(Progress progress, Evaluation.Result result, double seconds) {
        observers.forEach(observer -> observer.onEvaluation(progress, result, seconds));
      }

      @Override
      public void onSave(Progress progress) {
        observers.forEach(observer -> observer.onSave(progress));
      }

      @Override
      public void onCheckpoint(Progress progress, Path folder) {
        observers.forEach(observer -> observer.onCheckpoint(progress, folder));
      }
    };
  }
}
