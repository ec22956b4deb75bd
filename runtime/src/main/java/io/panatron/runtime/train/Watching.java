package io.panatron.runtime.train;

import io.panatron.runtime.config.ArgumentsFile;
import io.panatron.runtime.config.ShellCommand;
import io.panatron.runtime.model.FlopCount;
import io.panatron.runtime.observe.BestEffort;
import io.panatron.runtime.observe.ProgressDisplay;
import io.panatron.runtime.observe.RowListener;
import io.panatron.runtime.observe.RunLog;
import io.panatron.runtime.observe.plot.PlotUpdates;
import io.panatron.runtime.observe.report.HtmlReport;
import io.panatron.runtime.observe.tracker.TrackerFeed;
import io.panatron.runtime.observe.tracker.TrackerFeeds;
import io.panatron.runtime.optim.Optimizer;
import io.panatron.runtime.parallel.RankContext;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Everything that watches one run: the log and the terminal, TensorBoard's files, plots, {@code
 * run.json}, the report, a tracker.
 *
 * <p>Only the log can end the run; a failure of the others is said once. Apart from the log nothing
 * is loaded before the first step has ended.
 */
final class Watching implements TrainingObserver, AutoCloseable {
  private final Path folder;
  private final StepFigures figures;
  private final RunReporter reporter;
  private final BoardObserver board;
  private final PlotUpdates plots;
  private final RunFacts facts;
  private final @Nullable TrackerFeed tracker;
  private final TrainingObserver all;
  private final BestEffort record;
  private final Consumer<String> say;
  private Progress progress = Progress.START;
  private String status = "running";
  private boolean stepped;

  Watching(
      WatchSettings watch,
      TrainingConfig config,
      RankContext rank,
      RunInputs inputs,
      TrainerSettings settings,
      Optimizer optimizer,
      Path folder,
      RunLog log,
      ProgressDisplay display) {
    this.folder = folder;
    say = display::message;
    figures =
        new StepFigures(
            FlopCount.of(inputs.model()),
            optimizer,
            rank.backend(),
            rank.memory(),
            rank.backend().device().peakFlops(inputs.dtype()));
    Path events = watch.board().folderOf(folder);
    tracker = tracker(watch);
    RowListener listener = tracker == null ? (iteration, row) -> {} : tracker;
    reporter = new RunReporter(settings, log, display, watch, figures, listener);
    board =
        new BoardObserver(
            watch, events, figures, ShellCommand.of(config.arguments().commandLine()).strip(), say);
    plots = new PlotUpdates(events, folder.resolve("images"), System::nanoTime, say);
    facts = new RunFacts(config, rank, inputs, figures);
    record = new BestEffort("run.json is no longer written to " + folder, say);
    all = TrainingObserver.all(List.of(figures, reporter, board, this));
  }

  private @Nullable TrackerFeed tracker(WatchSettings watch) {
    if (watch.tracker() == null) {
      return null;
    }
    return TrackerFeeds.of(
        watch.tracker(),
        watch.project(),
        watch.experiment() == null ? folder.toString() : watch.experiment(),
        folder.resolve(ArgumentsFile.NAME),
        say);
  }

  /** What the training loop tells. */
  TrainingObserver observer() {
    return all;
  }

  RunReporter reporter() {
    return reporter;
  }

  @Override
  public void onStep(Progress after, StepResult result, double nextLearningRate, double seconds) {
    progress = after;
    if (!stepped) {
      stepped = true;
      writeFacts();
    }
  }

  @Override
  public void onCheckpoint(Progress at, Path checkpoint) {
    writeFacts();
    plots.refresh();
  }

  /** Says that the loop returned; without this word the run has failed. */
  void ended(boolean stopped) {
    status = stopped ? "stopped" : "finished";
  }

  private void writeFacts() {
    record.run(() -> {
      facts.status(status, progress);
      facts.write(folder);
    });
  }

  @Override
  public void close() {
    board.close();
    if (tracker != null) {
      tracker.close(!status.equals("running"));
    }
    if (stepped) {
      status = status.equals("running") ? "failed" : status;
      writeFacts();
      plots.close();
      Path report = folder.resolve(HtmlReport.NAME);
      new BestEffort("The report is missing", say)
          .run(() -> {
            HtmlReport.write(List.of(folder), report);
            say.accept("Report            " + report);
          });
    }
  }
}
