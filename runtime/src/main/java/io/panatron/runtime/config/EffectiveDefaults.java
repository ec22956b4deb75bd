package io.panatron.runtime.config;

import java.nio.file.Path;

/**
 * Fills in the defaults that follow from other parameters alone, so that a run and args.json see
 * real values.
 */
public final class EffectiveDefaults {
  /** Peak learning rate when --lr is unset and every parameter is trained. */
  static final double FULL_TRAINING_RATE = 1e-5;

  private EffectiveDefaults() {}

  /**
   * Sets lr, save, eval_interval, seq_length and what follows from the task where the user left
   * them unset.
   */
  public static ParsedArguments derive(ParsedArguments given) {
    ParsedArguments arguments = given;
    if (arguments.value("lr") == null) {
      arguments = arguments.with("lr", FULL_TRAINING_RATE);
    }
    if (arguments.value("save") == null) {
      Path source = arguments.path(arguments.value("model") == null ? "load" : "model");
      Path last = source.toAbsolutePath().normalize().getFileName();
      arguments = arguments.with("save", "megatron_output/" + (last == null ? "model" : last));
    }
    if (arguments.value("eval_interval") == null) {
      arguments = arguments.with("eval_interval", arguments.integer("save_interval"));
    }
    if (arguments.value("seq_length") == null && arguments.value("max_length") != null) {
      arguments = arguments.with("seq_length", arguments.integer("max_length"));
    }
    return ofTask(arguments);
  }

  /** A loss of sequences is no mean over tokens. */
  private static ParsedArguments ofTask(ParsedArguments given) {
    return given.text("task_type").equals("causal_lm")
        ? given
        : given.with("calculate_per_token_loss", false);
  }
}
