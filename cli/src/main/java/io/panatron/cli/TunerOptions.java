package io.panatron.cli;

import io.panatron.runtime.UserError;
import io.panatron.runtime.model.lora.LoraSettings;
import io.panatron.runtime.model.lora.PartialTuning;
import io.panatron.runtime.train.Benchmark;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** What {@code bench} trains, as {@code sft} knows it. */
final class TunerOptions {
  @Option(
      names = {"--tuner_type", "--train_type"},
      defaultValue = "full",
      description = "full or lora.")
  String type = "full";

  @Option(names = "--lora_rank", defaultValue = "8", description = "As for sft.")
  int rank = 8;

  @Option(names = "--lora_alpha", defaultValue = "32", description = "As for sft.")
  int alpha = 32;

  @Option(names = "--lora_dropout", defaultValue = "0.05", description = "As for sft.")
  double dropout = 0.05;

  @Option(
      names = "--target_modules",
      arity = "1..*",
      defaultValue = "all-linear",
      description = "As for sft.")
  List<String> targets = List.of("all-linear");

  @Option(
      names = "--freeze_parameters_ratio",
      defaultValue = "0",
      description = "As for sft, with full.")
  double frozenShare;

  @Option(names = "--trainable_parameters", arity = "1..*", description = "As for sft, with full.")
  @Nullable List<String> trainable;

  boolean isLora() {
    return type.equals("lora");
  }

  Benchmark.Tuner tuner() {
    if (!isLora() && !type.equals("full")) {
      throw new UserError("--tuner_type %s is unknown; use full or lora.".formatted(type));
    }
    if (!(frozenShare >= 0 && frozenShare <= 1)) {
      throw new UserError(
          "--freeze_parameters_ratio %s must be at least 0 and at most 1.".formatted(frozenShare));
    }
    return new Benchmark.Tuner(
        isLora() ? new LoraSettings(rank, alpha, dropout, false, false) : null,
        targets,
        new PartialTuning(
            frozenShare, List.of(), null, trainable == null ? List.of() : trainable, null));
  }
}
