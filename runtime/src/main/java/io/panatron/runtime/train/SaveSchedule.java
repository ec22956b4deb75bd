package io.panatron.runtime.train;

import io.panatron.runtime.UserError;
import io.panatron.runtime.checkpoint.Checkpoint;
import io.panatron.runtime.checkpoint.Retention;
import io.panatron.runtime.config.ParsedArguments;
import io.panatron.runtime.data.IterationPlan;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;

/**
 * When a run saves and evaluates, counted in iterations, and which checkpoints stay.
 *
 * <p>Source: Megatron-SWIFT's {@code _get_iters}: with {@code --save_strategy epoch} both intervals
 * are the whole iterations of an epoch, and {@code --save_retain_interval} counts epochs.
 */
record SaveSchedule(long saveInterval, long evalInterval, Retention retention) {

  static SaveSchedule of(TrainingConfig config, RunInputs inputs) {
    TrainingConfig.Checkpoints saving = config.checkpoints();
    long unit = saving.perEpoch() ? epoch(config, inputs.plan()) : 1;
    OptionalLong interval = saving.retention().interval();
    Checkpoint resumedFrom = inputs.checkpoint();
    return new SaveSchedule(
        unit * saving.interval(),
        unit * config.batches().evalInterval(),
        new Retention(
            interval.isPresent() ? OptionalLong.of(unit * interval.getAsLong()) : interval,
            saving.retention().limit(),
            resumedFrom == null ? null : resumedFrom.folder()));
  }

  private static long epoch(TrainingConfig config, IterationPlan plan) {
    if (plan.epochIters() == 0) {
      throw new UserError(
          ("--save_strategy epoch saves after each pass over the data, but a pass does not fill one"
                  + " --global_batch_size of %d; lower that, add rows, or take --save_strategy steps")
              .formatted(config.batches().globalBatchSize()));
    }
    return plan.epochIters();
  }

  /** What the user reads before the run. */
  List<String> describe(ParsedArguments arguments, boolean perEpoch, boolean inBackground) {
    List<String> lines = new ArrayList<>();
    lines.add(
        "Checkpoints       every %,d iterations%s and at the end%s"
            .formatted(
                saveInterval,
                perEpoch ? ", which are an epoch," : "",
                inBackground ? ", written while training goes on" : ""));
    for (String name : List.of("save_interval", "eval_interval")) {
      if (perEpoch && arguments.isGiven(name)) {
        lines.add(
            "Note: --%s %s has no effect, since --save_strategy epoch saves and evaluates after each"
                    .formatted(name, arguments.value(name))
                + " epoch");
      }
    }
    return lines;
  }

  /** The arguments with the intervals that an epoch strategy forces. */
  static ParsedArguments forced(ParsedArguments arguments, boolean perEpoch) {
    return perEpoch ? arguments.with("save_interval", 1).with("eval_interval", 1) : arguments;
  }
}
