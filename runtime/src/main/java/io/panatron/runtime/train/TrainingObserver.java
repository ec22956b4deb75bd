package io.panatron.runtime.train;

import java.nio.file.Path;

/** Hears of what the training loop does: the log, the terminal. */
public interface TrainingObserver {
  /**
   * After every step.
   *
   * @param nextLearningRate the rate after the scheduler stepped, which is what logs show
   * @param seconds wall time of the step, data wait included
   */
  void onStep(Progress progress, StepResult result, double nextLearningRate, double seconds);

  /** After an evaluation over {@code targetTokens} tokens. */
  void onEvaluation(Progress progress, double loss, long targetTokens, double seconds);

  /** After a checkpoint was committed. */
  void onCheckpoint(Progress progress, Path folder);
}
