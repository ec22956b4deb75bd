package io.panatron.runtime.train;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.panatron.runtime.UserError;
import io.panatron.runtime.autograd.TokenLoss;
import io.panatron.runtime.config.ParsedArguments;
import io.panatron.runtime.data.HfTokenizer;
import io.panatron.runtime.data.SequenceTask;
import io.panatron.runtime.data.SequenceTask.ProblemType;
import io.panatron.runtime.model.HeadKind;
import io.panatron.runtime.model.ModelConfig;
import io.panatron.runtime.model.SequenceReadout;
import io.panatron.runtime.task.ClassificationLoss;
import io.panatron.runtime.task.InfoNceLoss;
import io.panatron.runtime.task.PairLoss;
import io.panatron.runtime.task.RankingLoss;
import io.panatron.runtime.task.SequenceLoss;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * What {@code --task_type} makes of a model and its data.
 *
 * @param name the task
 * @param output the head that the model gets
 * @param rows how rows become labelled sequences; null where the loss is that of tokens
 * @param problem of a classification, else null
 * @param sequences how many sequences a sample has, as far as that is known
 */
record TaskPlan(
    String name,
    HeadKind output,
    @Nullable SequenceTask rows,
    @Nullable ProblemType problem,
    int sequences,
    Objective objective) {

  /**
   * The plan for a model folder.
   *
   * @param read what its config.json says
   * @throws UserError where the model does not fit the task
   */
  static TaskPlan of(
      ParsedArguments a, ModelConfig read, ObjectNode json, Path folder, HfTokenizer tokenizer) {
    String name = a.text("task_type");
    return switch (name) {
      case "causal_lm" -> languageModelling(a, read, folder);
      case "seq_cls" -> classification(a, read, json, folder);
      case "embedding" -> embedding(a);
      case "reranker", "generative_reranker" -> reranking(a, name, read, folder, tokenizer);
      default -> throw new IllegalArgumentException("no task is named " + name);
    };
  }

  private static TaskPlan languageModelling(ParsedArguments a, ModelConfig read, Path folder) {
    TokenLoss loss = a.flag("enable_dft_loss") ? TokenLoss.DFT : TokenLoss.CROSS_ENTROPY;
    return new TaskPlan(
        "causal_lm",
        read.languageModel(folder).output(),
        null,
        null,
        1,
        new TokenObjective(loss, a.flag("calculate_per_token_loss")));
  }

  private static TaskPlan classification(
      ParsedArguments a, ModelConfig read, ObjectNode json, Path folder) {
    Integer saved = read.output() instanceof HeadKind.Scores(int labels) ? labels : null;
    Integer asked = a.integerOrNull("num_labels");
    int labels;
    if (asked != null) {
      labels = asked;
    } else if (saved != null) {
      labels = saved;
    } else {
      throw new UserError(
          "--task_type seq_cls needs --num_labels, the number of classes, or of numbers that a"
              + " regression predicts; add it.");
    }
    requireLabels(saved, labels, folder, "--num_labels " + asked);
    String named = a.textOrNull("problem_type");
    if (named == null && saved != null) {
      named = json.path("problem_type").textValue();
    }
    ProblemType problem =
        named != null
            ? problem(named, folder)
            : labels == 1 ? ProblemType.REGRESSION : ProblemType.SINGLE_LABEL_CLASSIFICATION;
    if (problem == ProblemType.SINGLE_LABEL_CLASSIFICATION && labels == 1) {
      throw new UserError(
          "--problem_type single_label_classification with --num_labels 1 has nothing to choose from;"
              + " take more labels, or regression.");
    }
    return new TaskPlan(
        "seq_cls",
        new HeadKind.Scores(labels),
        new SequenceTask.Classification(problem, labels),
        problem,
        1,
        new SequenceObjective(new SequenceReadout.AllScores(), new ClassificationLoss(problem)));
  }

  private static ProblemType problem(String name, Path folder) {
    try {
      return ProblemType.parse(name);
    } catch (IllegalArgumentException e) {
      throw new UserError(
          "%s has problem_type %s, which is not known; say what it is with --problem_type."
              .formatted(ModelConfig.file(folder), name),
          e);
    }
  }

  private static void requireLabels(
      @Nullable Integer saved, int labels, Path folder, String asked) {
    if (saved != null && saved != labels) {
      throw new UserError(
          "%s is a sequence classifier of %d labels, which %s contradicts; drop that, or start from a model without a classifier's head."
              .formatted(folder, saved, asked));
    }
  }

  private static TaskPlan embedding(ParsedArguments a) {
    String lossType = a.text("loss_type");
    Integer hard = a.integerOrNull("infonce_hard_negatives");
    boolean infoNce = lossType.equals("infonce");
    boolean needsNegatives = infoNce && (hard != null || !a.flag("infonce_use_batch"));
    SequenceTask.PairLabel label =
        switch (lossType) {
          case "infonce" -> SequenceTask.PairLabel.NONE;
          case "cosine_similarity" -> SequenceTask.PairLabel.NUMBER;
          default -> SequenceTask.PairLabel.BINARY;
        };
    SequenceLoss loss =
        infoNce
            ? new InfoNceLoss(infoNce(a))
            : new PairLoss(PairLoss.Kind.valueOf(lossType.toUpperCase(Locale.ROOT)));
    return new TaskPlan(
        "embedding",
        HeadKind.NONE,
        new SequenceTask.Embedding(lossType, label, hard, needsNegatives),
        null,
        2,
        new SequenceObjective(new SequenceReadout.HiddenState(), loss));
  }

  private static InfoNceLoss.Settings infoNce(ParsedArguments a) {
    return new InfoNceLoss.Settings(
        a.number("infonce_temperature"),
        a.flag("infonce_use_batch"),
        a.integerOrNull("infonce_hard_negatives"),
        a.flag("infonce_mask_fake_negative"),
        a.number("infonce_fake_neg_margin"),
        a.flag("infonce_include_qq"),
        a.flag("infonce_include_dd"));
  }

  private static TaskPlan reranking(
      ParsedArguments a, String name, ModelConfig read, Path folder, HfTokenizer tokenizer) {
    RankingLoss loss =
        a.text("loss_type").equals("listwise_reranker")
            ? new RankingLoss.Listwise(
                a.number("listwise_reranker_temperature"),
                a.integer("listwise_reranker_min_group_size"))
            : new RankingLoss.Pointwise();
    SequenceTask.Reranking rows =
        new SequenceTask.Reranking(
            a.integer("max_positive_samples"), a.integer("max_negative_samples"));
    HeadKind output;
    SequenceReadout readout;
    if (name.equals("generative_reranker")) {
      output = read.languageModel(folder).output();
      readout =
          new SequenceReadout.TokenScores(
              List.of(
                  token(a, "generative_reranker_positive_token", tokenizer),
                  token(a, "generative_reranker_negative_token", tokenizer)));
    } else {
      Integer saved = read.output() instanceof HeadKind.Scores(int labels) ? labels : null;
      requireLabels(saved, 1, folder, "--task_type reranker");
      output = new HeadKind.Scores(1);
      readout = new SequenceReadout.AllScores();
    }
    return new TaskPlan(
        name,
        output,
        rows,
        null,
        rows.mostPositives() * (1 + rows.mostNegatives()),
        new SequenceObjective(readout, loss));
  }

  private static int token(ParsedArguments a, String parameter, HfTokenizer tokenizer) {
    int[] ids = tokenizer.encode(a.text(parameter));
    if (ids.length != 1) {
      throw new UserError(
          "--%s %s is no token of the tokenizer in %s, which makes %d of it; name one that it has as a whole."
              .formatted(parameter, a.text(parameter), tokenizer.folder(), ids.length));
    }
    return ids[0];
  }

  /**
   * That a run of so many ranks can train it.
   *
   * @throws UserError where it cannot
   */
  void requireRanks(int ranks) {
    if (rows != null && ranks > 1) {
      throw new UserError(
          "--task_type %s does not train on several ranks yet; start it as one, or take causal_lm."
              .formatted(name));
    }
  }

  /** Writes into a config.json what the trained model is. */
  void describeIn(ObjectNode json, ModelConfig model, HfTokenizer tokenizer) {
    switch (output) {
      case HeadKind.Vocabulary head -> {
        String architecture = model.family().architecture();
        if (!json.path("architectures").path(0).asText(architecture).equals(architecture)) {
          name(json, architecture);
        }
      }
      case HeadKind.None head -> name(json, model.family().baseArchitecture());
      case HeadKind.Scores(int labels) -> {
        name(json, model.family().classifierArchitecture());
        describeLabels(json, labels);
        // By it transformers finds the last token of a sequence.
        if (json.path("pad_token_id").isMissingNode() || json.path("pad_token_id").isNull()) {
          tokenizer.padId().ifPresent(id -> json.put("pad_token_id", id));
        }
      }
    }
  }

  private static void name(ObjectNode json, String architecture) {
    json.putArray("architectures").add(architecture);
  }

  private void describeLabels(ObjectNode json, int labels) {
    if (json.path("id2label").size() != labels) {
      ObjectNode names = json.putObject("id2label");
      ObjectNode numbers = json.putObject("label2id");
      for (int i = 0; i < labels; i++) {
        names.put(String.valueOf(i), "LABEL_" + i);
        numbers.put("LABEL_" + i, i);
      }
    }
    json.remove("num_labels");
    if (problem != null) {
      json.put("problem_type", problem.parameterName());
    }
  }

  /** The arguments with what the model decided. */
  ParsedArguments complete(ParsedArguments arguments) {
    return rows instanceof SequenceTask.Classification task
        ? arguments
            .with("num_labels", task.labels())
            .with("problem_type", task.problem().parameterName())
        : arguments;
  }

  /** The task in words, for the start of a run. */
  String describe() {
    return switch (output) {
      case HeadKind.Vocabulary head -> name;
      case HeadKind.None head -> name + ", the hidden state of the last token";
      case HeadKind.Scores(int labels) ->
          name + ", " + labels + (labels == 1 ? " score" : " scores") + " of the last token";
    };
  }
}
