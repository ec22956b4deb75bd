package io.panatron.runtime.train;

import io.panatron.runtime.data.MicroBatch;
import io.panatron.runtime.observe.ProgressDisplay;
import io.panatron.runtime.observe.RowListener;
import io.panatron.runtime.observe.RunLog;
import io.panatron.runtime.task.Mean;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * Writes a row to the log and the terminal every {@code logInterval} iterations: the loss is the
 * sum over the window's target tokens divided by their number, the gradient norm that of the last
 * step. A loss that is not finite counts in no sum, and a step that was skipped has no gradient
 * norm.
 */
final class RunReporter implements TrainingObserver {
  private static final double GIB = 1L << 30;
  private static final String WINDOW_LOSS = "window_loss";
  private static final String WINDOW_TARGETS = "window_targets";
  private static final String WINDOW_SKIPPED = "window_skipped";
  private static final String CHANNEL_LOSS = "window_loss_of_channel ";
  private static final String CHANNEL_TARGETS = "window_targets_of_channel ";
  private static final String MEASURE_SUM = "window_sum_of_measure ";
  private static final String MEASURE_COUNT = "window_count_of_measure ";

  private final TrainerSettings settings;
  private final RunLog log;
  private final ProgressDisplay display;
  private final WatchSettings watch;
  private final StepFigures figures;
  private final RowListener listener;
  private final long start = System.nanoTime();
  private long stepsHere;
  private double windowLoss;
  private long windowTargets;
  private final ChannelLosses windowChannels = new ChannelLosses();
  private final SortedMap<String, Mean> windowMeasures = new TreeMap<>();
  private long windowSkipped;
  private long windowTokens;
  private long windowSteps;
  private double windowSeconds;
  private double windowFlops;

  /**
   * @param listener takes every row, too
   */
  RunReporter(
      TrainerSettings settings,
      RunLog log,
      ProgressDisplay display,
      WatchSettings watch,
      StepFigures figures,
      RowListener listener) {
    this.settings = settings;
    this.log = log;
    this.display = display;
    this.watch = watch;
    this.figures = figures;
    this.listener = listener;
  }

  /** What a checkpoint keeps, so that the row that spans a resume shows the same loss. */
  Map<String, Double> windowSums() {
    Map<String, Double> sums = new HashMap<>();
    sums.put(WINDOW_LOSS, windowLoss);
    sums.put(WINDOW_TARGETS, (double) windowTargets);
    sums.put(WINDOW_SKIPPED, (double) windowSkipped);
    windowChannels
        .sums()
        .forEach((name, loss) -> {
          sums.put(CHANNEL_LOSS + name, loss.lossSum());
          sums.put(CHANNEL_TARGETS + name, (double) loss.targetTokens());
        });
    windowMeasures.forEach((name, mean) -> {
      sums.put(MEASURE_SUM + name, mean.sum());
      sums.put(MEASURE_COUNT + name, (double) mean.count());
    });
    return sums;
  }

  /** Continues a window that a checkpoint broke off. */
  void restoreWindow(Map<String, Double> sums) {
    windowLoss = sums.getOrDefault(WINDOW_LOSS, 0.0);
    windowTargets = Math.round(sums.getOrDefault(WINDOW_TARGETS, 0.0));
    windowSkipped = Math.round(sums.getOrDefault(WINDOW_SKIPPED, 0.0));
    sums.forEach((key, targets) -> {
      if (key.startsWith(CHANNEL_TARGETS)) {
        String name = key.substring(CHANNEL_TARGETS.length());
        double loss = sums.getOrDefault(CHANNEL_LOSS + name, 0.0);
        windowChannels.add(name, new ChannelLoss(loss, Math.round(targets)));
      } else if (key.startsWith(MEASURE_COUNT)) {
        String name = key.substring(MEASURE_COUNT.length());
        double sum = sums.getOrDefault(MEASURE_SUM + name, 0.0);
        windowMeasures.put(name, new Mean(sum, Math.round(targets)));
      }
    });
  }

  @Override
  public void onBatch(List<MicroBatch> batch, long waitNanos) {
    windowFlops += figures.flops();
  }

  @Override
  public void onStep(
      Progress progress, StepResult result, double nextLearningRate, double seconds) {
    stepsHere++;
    if (Double.isFinite(result.lossSum())) {
      windowLoss += result.lossSum();
      windowTargets += result.targetTokens();
      windowChannels.addAll(result.channels());
      result.measures().forEach((name, mean) -> windowMeasures.merge(name, mean, Mean::plus));
    }
    windowSkipped += result.skipped() ? 1 : 0;
    windowTokens += result.tokens();
    windowSteps++;
    windowSeconds += seconds;
    long iteration = progress.iteration();
    boolean last = iteration == settings.trainIterations();
    display.step(iteration, windowLoss / Math.max(windowTargets, 1));
    if (iteration == 1 || last || iteration % settings.logInterval() == 0) {
      write(iteration, row(progress, result, nextLearningRate));
      windowLoss = 0;
      windowTargets = 0;
      windowChannels.clear();
      windowMeasures.clear();
      windowSkipped = 0;
      windowTokens = 0;
      windowSteps = 0;
      windowSeconds = 0;
      windowFlops = 0;
    }
  }

  private Map<String, Object> row(Progress progress, StepResult result, double learningRate) {
    double elapsed = (System.nanoTime() - start) * 1e-9;
    long left = settings.trainIterations() - progress.iteration();
    Map<String, Object> row = new LinkedHashMap<>();
    if (windowTargets > 0 || Double.isFinite(result.lossSum())) {
      row.put("loss", windowLoss / Math.max(windowTargets, 1));
      addChannels(row, "loss_", windowChannels.sums());
      windowMeasures.forEach((name, mean) -> row.put(name, mean.value()));
    }
    if (!result.skipped()) {
      row.put("grad_norm", result.gradientNorm());
    }
    row.put("learning_rate", learningRate);
    result
        .lossScale()
        .ifPresent(scale -> {
          row.put("loss_scale", scale);
          row.put("skipped_iterations", windowSkipped);
        });
    row.put("iteration", progress.iteration() + "/" + settings.trainIterations());
    row.put("elapsed_time", duration(elapsed));
    row.put("remaining_time", duration(elapsed / Math.max(stepsHere, 1) * left));
    row.put("memory(GiB)", round(figures.memory().reservedBytes() / GIB, 3));
    row.put("train_speed(s/it)", round(windowSeconds / Math.max(windowSteps, 1), 6));
    row.put("tokens_per_second", round(windowTokens / Math.max(windowSeconds, 1e-9), 1));
    if (watch.throughput()) {
      double teraFlops = StepFigures.teraFlops(windowFlops, windowSeconds);
      row.put("throughput", round(teraFlops, 6));
      OptionalDouble utilization = figures.utilization(teraFlops);
      if (utilization.isPresent()) {
        row.put("mfu", round(utilization.getAsDouble(), 4));
      }
    }
    if (watch.paramsNorm()) {
      row.put("params_norm", figures.paramsNorm(progress.iteration()));
    }
    return row;
  }

  @Override
  public void onEvaluation(Progress progress, Evaluation.Result result, double seconds) {
    Map<String, Object> row = new LinkedHashMap<>();
    row.put("eval_loss", result.loss());
    addChannels(row, "eval_loss_", result.channels());
    result.measures().forEach((name, value) -> row.put("eval_" + name, value));
    row.put("eval_" + result.unit(), result.targetTokens());
    row.put("eval_runtime(s)", round(seconds, 3));
    row.put("iteration", progress.iteration() + "/" + settings.trainIterations());
    write(progress.iteration(), row);
  }

  private static void addChannels(
      Map<String, Object> row, String key, Map<String, ChannelLoss> channels) {
    channels.forEach((name, loss) -> row.put(key + ChannelLosses.key(name), loss.mean()));
  }

  @Override
  public void onCheckpoint(Progress progress, Path folder) {
    display.message("Saved " + folder);
  }

  private void write(long iteration, Map<String, Object> row) {
    log.write(row);
    display.row(row);
    listener.row(iteration, row);
  }

  private static double round(double value, int digits) {
    double unit = Math.pow(10, digits);
    return Math.round(value * unit) / unit;
  }

  private static String duration(double seconds) {
    Duration d = Duration.ofSeconds(Math.round(seconds));
    return d.toHours() > 0
        ? "%dh %dm %ds".formatted(d.toHours(), d.toMinutesPart(), d.toSecondsPart())
        : d.toMinutes() > 0
            ? "%dm %ds".formatted(d.toMinutes(), d.toSecondsPart())
            : "%ds".formatted(d.toSeconds());
  }
}
