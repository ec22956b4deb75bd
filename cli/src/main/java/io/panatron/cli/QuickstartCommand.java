package io.panatron.cli;

import io.panatron.runtime.UserError;
import io.panatron.runtime.checkpoint.RunFolder;
import io.panatron.runtime.config.ShellCommand;
import io.panatron.runtime.parallel.RankContext;
import io.panatron.runtime.quickstart.ExactMatch;
import io.panatron.runtime.quickstart.QuickstartRecipe;
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

  @Option(names = "--threads", paramLabel = "N", description = "CPU threads; default: every core.")
  private @Nullable Integer threads;

  @Option(
      names = {"-h", "--help"},
      usageHelp = true,
      description = "Show this help and exit.")
  @SuppressWarnings("UnusedVariable") // picocli reads it
  private boolean help;

  @Spec private @Nullable CommandSpec spec;

  /** The files of one quickstart, all in one new folder. */
  private record Layout(Path folder, Path train, Path heldOut, Path model, Path run) {
    static Layout in(Path folder) {
      return new Layout(
          folder,
          folder.resolve("train.jsonl"),
          folder.resolve("heldout.jsonl"),
          folder.resolve("model"),
          folder.resolve("run"));
    }

    Path checkpoint(int iterations) {
      return run.resolve("checkpoint-" + iterations);
    }
  }

  QuickstartCommand(TrainingRun training) {
    this(training, QuickstartRecipe.standard());
  }

  QuickstartCommand(TrainingRun training, QuickstartRecipe recipe) {
    this.training = training;
    this.recipe = recipe;
  }

  @Override
  public Integer call() {
    if (seed < 0 || seed > 0xFFFF_FFFFL) {
      throw new UserError("--seed is %d; it must be from 0 to 4294967295.".formatted(seed));
    }
    long start = System.nanoTime();
    Layout layout = Layout.in(RunFolder.create(save, true, LocalDateTime.now()));
    List<TaskRow> heldOut = prepare(layout);
    say("Exact answers before training: " + ask(layout.model(), heldOut).summary());
    List<String> arguments =
        recipe.arguments(layout.model(), layout.train(), layout.run(), seed, device, threads);
    say("");
    say("Training, as this command does it:");
    say(ShellCommand.of(arguments));
    say("");
    int status = sft(arguments);
    Path checkpoint = layout.checkpoint(recipe.iterations());
    if (status != 0 || !Files.isDirectory(checkpoint)) {
      say("Training ended early, so there is nothing to measure.");
      return status == 0 ? ErrorReport.INTERNAL_FAILURE : status;
    }
    ExactMatch after = ask(checkpoint, heldOut);
    say("");
    say("Exact answers after training:  " + after.summary());
    showAnswers(after);
    showFiles(layout, checkpoint);
    say("Done in %d s.".formatted(Duration.ofNanos(System.nanoTime() - start).toSeconds()));
    if (after.share() < REQUIRED_MATCH) {
      PrintWriter err = Objects.requireNonNull(spec).commandLine().getErr();
      err.printf(
          "The model answers %.1f %% of the held-out questions exactly, but %.0f %% are expected with"
              + " any seed; please report seed %d.%n",
          100 * after.share(), 100 * REQUIRED_MATCH, seed);
      return ErrorReport.INTERNAL_FAILURE;
    }
    return 0;
  }

  /** Makes data, tokenizer and model shape, and returns the held-out rows. */
  private List<TaskRow> prepare(Layout layout) {
    TaskData data = TaskData.draw(seed, recipe.additions(), recipe.others(), recipe.heldOutRows());
    try {
      TaskData.write(data.train(), layout.train());
      TaskData.write(data.heldOut(), layout.heldOut());
      recipe.model().write(layout.model());
    } catch (IOException e) {
      throw new UserError(
          "the quickstart's files cannot be written to %s (%s); free space or choose another --save."
              .formatted(layout.folder(), e.getMessage()),
          e);
    }
    say(
        "Made %,d questions to train on and %,d others to ask afterwards, a tokenizer, and a model"
                .formatted(data.train().size(), data.heldOut().size())
            + " with random weights (seed %d).".formatted(seed));
    return data.heldOut();
  }

  /** Runs the command line that was shown, through the same parser as a user's. */
  private int sft(List<String> arguments) {
    CommandSpec self = Objects.requireNonNull(spec);
    return new TrainerCommandLine(
            training, List.of(), self.commandLine().getOut(), self.commandLine().getErr())
        .execute(arguments.toArray(String[]::new));
  }

  private ExactMatch ask(Path model, List<TaskRow> rows) {
    try (RankContext rank = DeviceChoice.openRank(device, threads)) {
      return ExactMatch.of(rank, model, rows, seed);
    }
  }

  private void showAnswers(ExactMatch result) {
    say("");
    say("Five of them (greedy decoding with a key-value cache):");
    List<ExactMatch.Answer> answers = result.answers();
    for (int i = 0; i < SHOWN; i++) {
      // Spread over the rows, which are sorted by task.
      ExactMatch.Answer answer = answers.get(i * (answers.size() - 1) / (SHOWN - 1));
      say(
          "  %-16s %-8s %s"
              .formatted(
                  answer.row().prompt(),
                  printable(answer.said()),
                  answer.right() ? "right" : "wrong, it is " + answer.row().answer()));
    }
  }

  /** On one line, whatever a model says that has not learned yet. */
  private static String printable(String said) {
    return said.replaceAll("\\p{C}", "?");
  }

  private void showFiles(Layout layout, Path checkpoint) {
    say("");
    say("Left in " + layout.folder() + ":");
    say("  train.jsonl, heldout.jsonl   the questions");
    say("  model/                       shape and tokenizer, without weights");
    say("  run/logging.jsonl            losses of the training run");
    say("  run/report.html              its curves, for a browser");
    say(
        "  run/%s/         the trained model, a Hugging Face folder"
            .formatted(checkpoint.getFileName()));
    say("");
    say("Next, ask it yourself:");
    say(
        ShellCommand.of(
            List.of(
                "generate",
                "--model",
                checkpoint.toString(),
                "--prompt",
                "37 + 91 =",
                "sort 7301")));
    say("or train your own model on your own conversations, in the form of train.jsonl:");
    say(ShellCommand.of(List.of("sft", "--model", "FOLDER", "--dataset", "FILE.jsonl")));
    say("");
  }

  private void say(String line) {
    PrintWriter out = Objects.requireNonNull(spec).commandLine().getOut();
    out.println(line);
    out.flush();
  }
}
