package io.panatron.runtime.quickstart;

import io.panatron.kernels.DType;
import io.panatron.runtime.data.Message;
import io.panatron.runtime.data.TemplateOptions;
import io.panatron.runtime.generate.Answering;
import io.panatron.runtime.parallel.RankContext;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * How many questions a model answers exactly, letter for letter, by greedy decoding.
 *
 * @param answers what was said to each row, in the rows' order
 */
public record ExactMatch(List<Answer> answers) {
  /** A question and what the model said. */
  public record Answer(TaskRow row, String said) {
    public boolean right() {
      return said.equals(row.answer());
    }
  }

  private static final int BATCH_SIZE = 100;

  /** An answer has at most five letters, and an end token. */
  private static final int MAX_NEW_TOKENS = 10;

  public ExactMatch {
    answers = List.copyOf(answers);
  }

  /**
   * Asks a model.
   *
   * @param seed of the random weights, if the folder holds none
   */
  public static ExactMatch of(RankContext rank, Path model, List<TaskRow> rows, long seed) {
    try (Answering answering =
        Answering.open(model, TemplateOptions.DEFAULT.withTemplate("chatml"))) {
      answering.loadOrInitialize(rank, DType.F32, QuickstartModel.MAX_POSITIONS, seed);
      List<int[]> prompts = new ArrayList<>();
      for (TaskRow row : rows) {
        prompts.add(answering.encode(List.of(new Message("user", row.prompt()))));
      }
      List<int[]> generated =
          answering.generate(rank, prompts, MAX_NEW_TOKENS, answering.stopTokens(), BATCH_SIZE);
      List<Answer> answers = new ArrayList<>();
      for (int i = 0; i < rows.size(); i++) {
        answers.add(new Answer(rows.get(i), answering.decode(generated.get(i))));
      }
      return new ExactMatch(answers);
    }
  }

  /** The answers to one kind of task. */
  public ExactMatch of(Task task) {
    return new ExactMatch(answers.stream().filter(a -> a.row().task() == task).toList());
  }

  /** The share of exact answers, 0 to 1. */
  public double share() {
    return answers.stream().filter(Answer::right).count() / (double) answers.size();
  }

  /** The shares, overall and for each task, as in {@code 98.3 % (addition 97.0 %, ...)}. */
  public String summary() {
    List<String> parts = new ArrayList<>();
    for (Task task : Task.values()) {
      parts.add("%s %.1f %%".formatted(task.title(), 100 * of(task).share()));
    }
    return "%.1f %% (%s)".formatted(100 * share(), String.join(", ", parts));
  }
}
