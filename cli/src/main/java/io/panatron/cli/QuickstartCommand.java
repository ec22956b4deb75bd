package io.panatron.cli;

import io.panatron.runtime.UserError;
import io.panatron.runtime.checkpoint.RunFolder;
import io.panatron.runtime.parallel.RankContext;
import io.panatron.runtime.quickstart.ExactMatch;
import io.panatron.runtime.quickstart.QuickstartRecipe;
import io.panatron.runtime.quickstart.Task;
import io.panatron.runtime.quickstart.TaskData;
import io.panatron.runtime.quickstart.TaskRow;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.LocalDateTime;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/**
 * {@code trainer quickstart}: makes data, a tokenizer and a small model, trains it with {@code
 * trainer sft}, and measures on held-out questions what it learned.
 */
@Command(
    name = "quickstart",
    sortOptions = false,
    description = "Train a small model from nothing in about two minutes, without a network.")
final class QuickstartCommand implements Callable<Integer> {
  /** The share of held-out questions that a trained model must answer exactly. */
  private static final double REQUIRED_MATCH = 0.95;

  private static final int SHOWN = 5;

  private final TrainingRun training;
  private final QuickstartRecipe recipe;

  @Option(
      names = "--seed",
      defaultValue = "42",
      paramLabel = "N",
      description = "Decides data and initial weights; default: 42.")
  private long seed = 42;

  @Option(
      names = {"--save", "--output_dir"},
      defaultValue = "panatron-quickstart",
      paramLabel = "FOLDER",
      description = "Where to leave a new folder for this run; default: ./panatron-quickstart.")
  private Path save = Path.of("panatron-quickstart");

  @Option(
      names = "--device",
      defaultValue = "auto",
      paramLabel = "DEVICE",
      description = "auto, cpu or reference; default: auto.")
  private String device = "auto";

  @Option(
      names = "--threads",
      paramLabel = "N",
      description = "CPU threads; default: every core.")
  private @Nullable Integer threads;

  @Option(
      names = {"-h", "--help"},
      usageHelp = true,
      description = "Show this help and exit.")
  @SuppressWarnings("UnusedVariable") // picocli reads it
  private boolean help;

  @Spec private @Nullable CommandSpec spec;

  /** The files of one quickstart, all in one new folder. */
  private record Files4(Path train, Path heldOut, Path model, Path run) {}

  QuickstartCommand(TrainingRun training) {
    this(training, QuickstartRecipe.standard());
  }

  QuickstartCommand(TrainingRun training, QuickstartRecipe recipe) {
    this.training = training;
    this.recipe = recipe;
  }

  @Override
  public Integer call() {
    return 0;
  }
}
