package io.panatron.runtime.train;

import io.panatron.runtime.observe.BestEffort;
import io.panatron.runtime.observe.tensorboard.EventFile;
import java.io.IOException;
import java.nio.file.Path;
import java.time.InstantSource;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Writes TensorBoard's points: {@code train/...} and {@code eval/...} under the names of the log
 * rows, and times and memory under those of Megatron-LM.
 *
 * <p>The file is made after the first step, so that nothing of it delays that step.
 */
final class BoardObserver implements TrainingObserver, AutoCloseable {
  private static final double GIB = 1L << 30;

  /** Megatron-LM caps the exponent, so that a bad start does not overflow. */
  private static final double MOST_EXPONENT = 20;

  private final WatchSettings settings;
  private final Path folder;
  private final StepFigures figures;
  private final String command;
  private final BestEffort effort;
  private @Nullable EventFile file;

  BoardObserver(
      WatchSettings settings,
      Path folder,
      StepFigures figures,
      String command,
      Consumer<String> say) {
    this.settings = settings;
    this.folder = folder;
    this.figures = figures;
    this.command = command;
    this.effort = new BestEffort("TensorBoard files are no longer written to " + folder, say);
  }

  @Override
  public void onStep(
      Progress progress, StepResult result, double nextLearningRate, double seconds) {
    effort.run(() -> {
      long iteration = progress.iteration();
      EventFile events = opened(iteration - 1);
      if (iteration % settings.board().interval() == 0) {
        events.scalars(iteration, values(iteration, result, nextLearningRate, seconds));
      }
    });
  }

  private Map<String, Double> values(
      long iteration, StepResult result, double learningRate, double seconds) {
    Map<String, Double> values = new LinkedHashMap<>();
    if (Double.isFinite(result.lossSum())) {
      values.put("train/loss", result.loss());
      addChannels(values, "train/", result.channels());
      result.measures().forEach((name, mean) -> values.put("train/" + name, mean.value()));
    }
    if (!result.skipped()) {
      values.put("train/grad_norm", result.gradientNorm());
    }
    result.lossScale().ifPresent(scale -> values.put("train/loss_scale", scale));
    if (settings.board().learningRate()) {
      values.put("train/learning_rate", learningRate);
    }
    values.put("train/tokens_per_second", result.tokens() / Math.max(seconds, 1e-9));
    values.put("train/train_speed(s_it)", seconds);
    if (settings.paramsNorm()) {
      values.put("train/params_norm", figures.paramsNorm(iteration));
    }
    if (settings.throughput()) {
      double teraFlops = StepFigures.teraFlops(figures.flops(), seconds);
      values.put("train/throughput", teraFlops);
      OptionalDouble utilization = figures.utilization(teraFlops);
      if (utilization.isPresent()) {
        values.put("train/mfu", utilization.getAsDouble());
      }
    }
    if (settings.board().memory()) {
      addMemory(values);
    }
    if (settings.board().timers()) {
      addTimers(values, result.times(), seconds);
    }
    return values;
  }

  private static void addChannels(
      Map<String, Double> values, String kind, Map<String, ChannelLoss> channels) {
    // A slash in a tag would open a further group.
    channels.forEach((name, loss) ->
        values.put(kind + "loss_" + ChannelLosses.key(name).replace('/', '_'), loss.mean()));
  }

  private void addMemory(Map<String, Double> values) {
    values.put("train/memory(GiB)", figures.memory().reservedBytes() / GIB);
    values.put("mem-reserved-bytes", (double) figures.memory().reservedBytes());
    values.put("mem-allocated-bytes", (double) figures.memory().usedBytes());
    values.put("mem-max-allocated-bytes", (double) figures.memory().peakUsedBytes());
  }

  private void addTimers(Map<String, Double> values, StepResult.Times times, double seconds) {
    values.put("iteration-time", seconds);
    values.put("batch-generator-time", figures.waitNanos() * 1e-9);
    values.put("forward-compute-time", times.forwardNanos() * 1e-9);
    values.put("backward-compute-time", times.backwardNanos() * 1e-9);
    values.put("optimizer-time", times.optimizerNanos() * 1e-9);
  }

  @Override
  public void onEvaluation(Progress progress, Evaluation.Result result, double seconds) {
    effort.run(() -> {
      Map<String, Double> values = new LinkedHashMap<>();
      values.put("eval/loss", result.loss());
      addChannels(values, "eval/", result.channels());
      result.measures().forEach((name, value) -> values.put("eval/" + name, value));
      if (settings.board().validationPerplexity() && result.unit().equals("tokens")) {
        values.put("eval/ppl", Math.exp(Math.min(MOST_EXPONENT, result.loss())));
      }
      opened(progress.iteration()).scalars(progress.iteration(), values);
    });
  }

  /** What a resumed run counts on is in the file when the checkpoint is. */
  @Override
  public void onSave(Progress progress) {
    effort.run(() -> opened(progress.iteration()).flush());
  }

  private EventFile opened(long doneSteps) throws IOException {
    EventFile events = file;
    if (events == null) {
      events =
          EventFile.create(folder, doneSteps, settings.board().queueSize(), InstantSource.system());
      file = events;
      events.text(doneSteps, "command/text_summary", "    " + command.replace("\n", "\n    "));
    }
    return events;
  }

  @Override
  public void close() {
    EventFile events = file;
    if (events != null) {
      effort.run(events::close);
    }
  }
}
