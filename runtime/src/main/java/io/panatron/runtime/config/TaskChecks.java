package io.panatron.runtime.config;

import io.panatron.runtime.UserError;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** What must hold between the parameters of {@code --task_type} and all others of {@code sft}. */
final class TaskChecks {
  private static final List<String> EMBEDDING =
      List.of("cosine_similarity", "contrastive", "online_contrastive", "infonce");
  private static final List<String> RERANKING = List.of("pointwise_reranker", "listwise_reranker");
  private static final Map<String, List<String>> LOSSES =
      Map.of("embedding", EMBEDDING, "reranker", RERANKING, "generative_reranker", RERANKING);

  /** What a parameter is about, by the start of its name. */
  private static final Map<String, String> NEEDS =
      Map.of(
          "num_labels", "--task_type seq_cls",
          "problem_type", "--task_type seq_cls",
          "infonce_", "--loss_type infonce",
          "listwise_reranker_", "--loss_type listwise_reranker",
          "generative_reranker_", "--task_type generative_reranker",
          "max_positive_samples", "--task_type reranker or generative_reranker",
          "max_negative_samples", "--task_type reranker or generative_reranker");

  private TaskChecks() {}

  static void check(ParsedArguments a) {
    String task = a.text("task_type");
    checkLoss(a, task);
    for (Parameter parameter : a.parameters()) {
      NEEDS.forEach((start, needed) -> {
        if (parameter.name().startsWith(start)
            && isChanged(a, parameter)
            && !needed.contains(" " + task)
            && !needed.contains(" " + a.textOrNull("loss_type"))) {
          throw new UserError(
              "--%s has no effect without %s; add that or drop it."
                  .formatted(parameter.name(), needed));
        }
      });
    }
    checkInfoNce(a);
    if (!task.equals("causal_lm")) {
      checkTokens(a, task);
    } else if (a.flag("save_predictions")) {
      throw new UserError(
          "--save_predictions true has no effect with --task_type causal_lm; drop it, or see what the model says with trainer generate.");
    }
  }

  /**
   * Whether the user asked for something else than the default, which may always be written out.
   */
  private static boolean isChanged(ParsedArguments a, Parameter parameter) {
    return a.isGiven(parameter.name())
        && !Objects.equals(a.value(parameter.name()), parameter.defaultValue());
  }

  private static void checkLoss(ParsedArguments a, String task) {
    List<String> losses = LOSSES.get(task);
    String given = a.textOrNull("loss_type");
    if (losses == null && given != null) {
      throw new UserError(
          "--loss_type %s is no loss of --task_type %s, which has one only; drop it, or take --task_type %s."
              .formatted(given, task, EMBEDDING.contains(given) ? "embedding" : "reranker"));
    }
    if (losses != null && (given == null || !losses.contains(given))) {
      throw new UserError(
          "--task_type %s needs --loss_type, one of %s%s."
              .formatted(
                  task,
                  String.join(", ", losses),
                  given == null ? "; add it" : ", and not %s; change it".formatted(given)));
    }
  }

  private static void checkInfoNce(ParsedArguments a) {
    if (!a.flag("infonce_use_batch")) {
      for (String name :
          List.of("infonce_mask_fake_negative", "infonce_include_qq", "infonce_include_dd")) {
        if (a.isGiven(name) && a.flag(name)) {
          throw new UserError(
              "--%s true is about the other rows of a micro-batch, which --infonce_use_batch false leaves out; drop one of them."
                  .formatted(name));
        }
      }
    }
    boolean margin =
        a.parameters().stream()
            .filter(parameter -> parameter.name().equals("infonce_fake_neg_margin"))
            .anyMatch(parameter -> isChanged(a, parameter));
    if (margin && !a.flag("infonce_mask_fake_negative")) {
      throw new UserError(
          "--infonce_fake_neg_margin has no effect without --infonce_mask_fake_negative true; add that or drop it.");
    }
  }

  /** What is about losses of tokens. */
  private static void checkTokens(ParsedArguments a, String task) {
    if (a.isGiven("calculate_per_token_loss") && a.flag("calculate_per_token_loss")) {
      throw new UserError(
          "--calculate_per_token_loss true has no meaning for --task_type %s, whose loss is the mean over sequences; drop it."
              .formatted(task));
    }
    for (String name : List.of("enable_dft_loss", "enable_channel_loss")) {
      if (a.flag(name)) {
        throw new UserError(
            "--%s true is about losses of tokens, which --task_type %s does not have; drop one of them."
                .formatted(name, task));
      }
    }
    if (a.isGiven("loss_scale") && !a.text("loss_scale").equals("default")) {
      throw new UserError(
          "--loss_scale %s weighs losses of tokens, which --task_type %s does not have; drop one of them."
              .formatted(a.text("loss_scale"), task));
    }
    if (!task.equals("seq_cls") && !a.flag("padding_free") && !a.flag("packing")) {
      throw new UserError(
          "--padding_free false does not go with --task_type %s, which puts sequences one after the other; drop one of them."
              .formatted(task));
    }
  }
}
