package io.panatron.cli;

import io.panatron.runtime.UserError;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** In which form answers are shown or kept. */
final class OutputOptions {
  @Option(
      names = "--format",
      paramLabel = "FORMAT",
      description =
          "text, or jsonl: rows of prompt, answer, stop_reason, prompt_ids and new_ids; default:"
              + " text.")
  private @Nullable String format;

  @Option(
      names = "--result_path",
      paramLabel = "FILE",
      description = "Write the jsonl rows to this file and show nothing; replaces the file.")
  private @Nullable Path resultPath;

  @Option(
      names = "--logprobs",
      arity = "0..1",
      fallbackValue = "true",
      defaultValue = "false",
      paramLabel = "BOOL",
      description =
          "Add to jsonl rows the log-probability with which each token was drawn; default: false.")
  private boolean logProbabilities;

  @Option(
      names = "--stream",
      arity = "0..1",
      fallbackValue = "true",
      defaultValue = "true",
      paramLabel = "BOOL",
      description = "Show text as it is made; default: true.")
  private boolean stream = true;

  /** Whether the form was chosen. */
  boolean isGiven() {
    return format != null || resultPath != null || logProbabilities;
  }

  /**
   * Looks for mistakes.
   *
   * @throws UserError if there is one
   */
  void check() {
    if (format != null && !format.equals("text") && !format.equals("jsonl")) {
      throw new UserError("--format cannot be '%s': choose text or jsonl.".formatted(format));
    }
    if ("text".equals(format) && resultPath != null) {
      throw new UserError("--result_path holds jsonl rows; leave out --format text.");
    }
    if (logProbabilities && !isJson()) {
      throw new UserError(
          "--logprobs belongs to jsonl rows; add --format jsonl or --result_path FILE.");
    }
  }

  /**
   * Looks whether the prompts would be overwritten.
   *
   * @throws UserError if they would
   */
  void checkAgainst(@Nullable Path promptFile) {
    if (resultPath != null && promptFile != null && isSame(resultPath, promptFile)) {
      throw new UserError(
          "--result_path %s is the file of --prompt_file, which it would replace; choose another."
              .formatted(resultPath));
    }
  }

  private static boolean isSame(Path one, Path other) {
    try {
      return Files.exists(one) && Files.exists(other) && Files.isSameFile(one, other);
    } catch (IOException e) {
      throw new UserError(
          "--result_path %s cannot be compared with --prompt_file %s (%s); check their rights."
              .formatted(one, other, e.getClass().getSimpleName()),
          e);
    }
  }

  private boolean isJson() {
    return resultPath != null || "jsonl".equals(format);
  }

  /**
   * Opens the place where answers go while {@code work} makes them.
   *
   * @param total how many answers there will be
   * @throws UserError if the result file cannot be written
   */
  void use(PrintWriter out, int total, Consumer<AnswerOutput> work) {
    if (!isJson()) {
      work.accept(new TextOutput(out, stream, total));
      return;
    }
    try (JsonlOutput rows =
        resultPath == null
            ? JsonlOutput.to(out, logProbabilities)
            : JsonlOutput.to(resultPath, logProbabilities)) {
      work.accept(rows);
    }
  }
}
