package io.panatron.runtime.train;

import io.panatron.runtime.UserError;
import io.panatron.runtime.config.ParsedArguments;
import io.panatron.runtime.observe.tracker.TrackerAccount;
import java.nio.file.Path;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What a run shows of itself, besides the loss.
 *
 * @param paramsNorm log the L2 norm of all parameters
 * @param throughput log floating-point operations a second
 * @param board TensorBoard's files
 * @param tracker where to report, or null
 * @param project the tracker's project
 * @param experiment its name for the run; null takes the run folder
 */
record WatchSettings(
    boolean paramsNorm,
    boolean throughput,
    Board board,
    @Nullable TrackerAccount tracker,
    String project,
    @Nullable String experiment) {

  /**
   * TensorBoard's files.
   *
   * @param folder null takes {@code runs} in the run folder
   * @param interval iterations between points
   * @param queueSize values that may wait to be written
   * @param validationPerplexity the exponential of the validation loss, too
   */
  record Board(
      @Nullable Path folder,
      int interval,
      int queueSize,
      boolean timers,
      boolean learningRate,
      boolean validationPerplexity,
      boolean memory) {
    Path folderOf(Path runFolder) {
      return folder == null ? runFolder.resolve("runs") : folder;
    }
  }

  /**
   * Reads the arguments.
   *
   * @param environment variables of the process
   * @throws UserError if a tracker was named without what it needs
   */
  static WatchSettings of(ParsedArguments a, Map<String, String> environment) {
    String reportTo = a.textOrNull("report_to");
    return new WatchSettings(
        a.flag("log_params_norm"),
        a.flag("log_throughput"),
        new Board(
            a.pathOrNull("tensorboard_dir"),
            a.integer("tensorboard_log_interval"),
            a.integer("tensorboard_queue_size"),
            a.flag("log_timers_to_tensorboard"),
            !a.flag("no_log_learning_rate_to_tensorboard"),
            a.flag("log_validation_ppl_to_tensorboard"),
            a.flag("log_memory_to_tensorboard")),
        reportTo == null ? null : TrackerAccount.of(reportTo, environment),
        a.text("wandb_project"),
        a.textOrNull("wandb_exp_name"));
  }
}
