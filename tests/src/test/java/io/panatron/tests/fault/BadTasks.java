package io.panatron.tests.fault;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/** Tasks other than language modelling that cannot be meant, and rows that do not fit them. */
final class BadTasks {
  private static final String ASKED = "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}]";
  private static final String OTHER = "[{\"role\": \"user\", \"content\": \"b\"}]";
  private static final String DOCUMENT = "[{\"role\": \"assistant\", \"content\": \"b\"}]";

  private BadTasks() {}

  static List<BadInput> all() {
    return Stream.of(classes(), pairs(), candidates(), parameters(), models())
        .flatMap(List::stream)
        .toList();
  }

  private static List<BadInput> classes() {
    return List.of(
        label("a row to classify without a label", "", "no column 'label'", "seq_cls"),
        label("a class beyond the last", ", \"label\": 3", "value 3", "0 to 2 (--num_labels 3)"),
        label("a class below the first", ", \"label\": -1", "value -1", "no class"),
        label("a class with a fraction", ", \"label\": 0.5", "value 0.5", "no class"),
        label("a class that is a word", ", \"label\": \"good\"", "'good'", "not a number"),
        label("a class that is an object", ", \"label\": {}", "{}", "not a number"),
        label("two classes where one is asked for", ", \"label\": [0, 1]", "takes one class"),
        multi("one class where a list is asked for", "1", "takes a list of classes"),
        multi("a class named twice", "[1, 1]", "names a class twice"),
        multi("a class in a list beyond the last", "[0, 7]", "value 7", "--num_labels 3"),
        number("a number where several are asked for", 3, "0.5", "1 numbers", "--num_labels 3"),
        number("too few numbers", 3, "[0.5, 1]", "2 numbers", "--num_labels 3"),
        number("a list where a number is asked for", 1, "[0.5]", "takes one number"),
        row(
            "a row to classify without a text",
            "{\"label\": 1}",
            seqCls(),
            "no column 'messages' or 'query'"));
  }

  private static List<BadInput> pairs() {
    Changes infoNce = call -> call.with("task_type", "embedding").with("loss_type", "infonce");
    Changes contrastive =
        call -> call.with("task_type", "embedding").with("loss_type", "contrastive");
    String pair = ASKED + ", \"positive_messages\": [" + OTHER + "]";
    return List.of(
        row("an anchor without a positive", ASKED + "}", infoNce, "no column 'positive_messages'"),
        row(
            "two positives of an anchor",
            ASKED + ", \"positive_messages\": [" + OTHER + ", " + OTHER + "]}",
            infoNce,
            "2 lists",
            "exactly one"),
        row(
            "positives that are no list of lists",
            ASKED + ", \"positive_messages\": " + OTHER + "}",
            infoNce,
            "'positive_messages[0]'",
            "not a list of messages"),
        row(
            "positives that are a text",
            ASKED + ", \"positive_messages\": \"b\"}",
            infoNce,
            "'positive_messages'"),
        row(
            "negatives that no loss looks at",
            pair + ", \"negative_messages\": [" + OTHER + "]}",
            contrastive,
            "'negative_messages'",
            "--loss_type contrastive has no use",
            "infonce"),
        row(
            "a contrastive label between 0 and 1",
            pair + ", \"label\": 0.5}",
            contrastive,
            "value 0.5",
            "0 or 1"),
        row(
            "a similarity that is a word",
            pair + ", \"label\": \"close\"}",
            call -> call.with("task_type", "embedding").with("loss_type", "cosine_similarity"),
            "'close'",
            "not a number"),
        row(
            "no negative where rows are compared with nothing else",
            pair + "}",
            call -> infoNce.to(call).with("infonce_use_batch", false),
            "no 'negative_messages'",
            "--infonce_use_batch false"));
  }

  private static List<BadInput> candidates() {
    Changes reranker =
        call -> call.with("task_type", "reranker").with("loss_type", "listwise_reranker");
    return List.of(
        row(
            "a query without documents",
            ASKED + "}",
            reranker,
            "no column 'positive_messages'",
            "a reranker"),
        row(
            "a query without a document that fits",
            ASKED + ", \"positive_messages\": [], \"negative_messages\": [" + DOCUMENT + "]}",
            reranker,
            "empty 'positive_messages'"));
  }

  private static List<BadInput> parameters() {
    return List.of(
        set("a classifier of unknown size", seqCls().lacking("num_labels"), "needs --num_labels"),
        set(
            "a choice among one class",
            call ->
                call.with("task_type", "seq_cls")
                    .with("num_labels", 1)
                    .with("problem_type", "single_label_classification"),
            "nothing to choose from"),
        set(
            "an embedding without a loss",
            call -> call.with("task_type", "embedding"),
            "--task_type embedding needs --loss_type",
            "infonce; add it"),
        set(
            "a reranker with an embedding's loss",
            call -> call.with("task_type", "reranker").with("loss_type", "infonce"),
            "pointwise_reranker, listwise_reranker",
            "not infonce"),
        set(
            "a loss of pairs for a language model",
            call -> call.with("loss_type", "infonce"),
            "--loss_type infonce",
            "--task_type embedding"),
        set(
            "labels of a language model",
            call -> call.with("num_labels", 2),
            "--num_labels has no effect without --task_type seq_cls"),
        set(
            "a temperature of another loss",
            call -> seqCls().to(call).with("infonce_temperature", 0.2),
            "--infonce_temperature has no effect without --loss_type infonce"),
        set(
            "other rows that are left out and compared with",
            call ->
                call.with("task_type", "embedding")
                    .with("loss_type", "infonce")
                    .with("infonce_use_batch", false)
                    .with("infonce_include_qq", true),
            "--infonce_include_qq true",
            "--infonce_use_batch false"),
        set(
            "a margin of negatives that stay",
            call ->
                call.with("task_type", "embedding")
                    .with("loss_type", "infonce")
                    .with("infonce_fake_neg_margin", 0.2),
            "--infonce_mask_fake_negative true"),
        set(
            "a mean over tokens of a classifier",
            call -> seqCls().to(call).with("calculate_per_token_loss", true),
            "--calculate_per_token_loss true has no meaning"),
        set(
            "channels of a classifier",
            call -> seqCls().to(call).with("enable_channel_loss", true),
            "--enable_channel_loss true is about losses of tokens"),
        set(
            "weights of tokens of a classifier",
            call -> seqCls().to(call).with("loss_scale", "last_round"),
            "--loss_scale last_round weighs losses of tokens"),
        set(
            "padded pairs",
            call ->
                call.with("task_type", "embedding")
                    .with("loss_type", "infonce")
                    .with("padding_free", false),
            "--padding_free false does not go with --task_type embedding"),
        set(
            "a word of several tokens as an answer",
            call ->
                call.with("task_type", "generative_reranker")
                    .with("loss_type", "pointwise_reranker")
                    .with("generative_reranker_positive_token", "perhaps"),
            "--generative_reranker_positive_token perhaps is no token"),
        set(
            "a classifier in pre-training",
            call -> seqCls().to(call).command("pt"),
            "--task_type seq_cls",
            "for sft"));
  }

  private static List<BadInput> models() {
    return List.of(
        BadInput.of(
            "a classifier as a language model",
            folder -> BadInput.good(folder).with("model", classifier(folder, 2)),
            "sequence classifier",
            "predicts no tokens"),
        BadInput.of(
            "another number of labels than the classifier has",
            folder -> seqCls().to(BadInput.good(folder)).with("model", classifier(folder, 2)),
            "classifier of 2 labels",
            "--num_labels 3"),
        BadInput.of(
            "a classifier as a reranker",
            folder ->
                BadInput.good(folder)
                    .with("model", classifier(folder, 2))
                    .with("task_type", "reranker")
                    .with("loss_type", "pointwise_reranker"),
            "classifier of 2 labels",
            "--task_type reranker"));
  }

  private static Path classifier(Path folder, int labels) throws java.io.IOException {
    Path model = Fixture.copyModel(folder.resolve("classifier"));
    Path config = model.resolve("config.json");
    String names =
        labels == 2
            ? "\"id2label\": {\"0\": \"no\", \"1\": \"yes\"},"
            : "\"num_labels\": " + labels + ",";
    Files.writeString(
        config,
        Files.readString(config)
            .replace("Qwen3ForCausalLM", "Qwen3ForSequenceClassification")
            .replaceFirst("\\{", "{" + names));
    return model;
  }

  /** What a case changes of the good call. */
  @FunctionalInterface
  private interface Changes {
    TrainingCall to(TrainingCall call);

    /** Without one of the changed options. */
    default Changes lacking(String option) {
      return call -> to(call).without(option);
    }
  }

  private static Changes seqCls() {
    return call -> call.with("task_type", "seq_cls").with("num_labels", 3);
  }

  private static BadInput label(String name, String label, String... phrases) {
    return row(name, ASKED + label + "}", seqCls(), phrases);
  }

  private static BadInput multi(String name, String label, String... phrases) {
    return row(
        name,
        ASKED + ", \"label\": " + label + "}",
        call -> seqCls().to(call).with("problem_type", "multi_label_classification"),
        phrases);
  }

  private static BadInput number(String name, int numbers, String label, String... phrases) {
    return row(
        name,
        ASKED + ", \"label\": " + label + "}",
        call ->
            call.with("task_type", "seq_cls")
                .with("num_labels", numbers)
                .with("problem_type", "regression"),
        phrases);
  }

  private static BadInput set(String name, Changes changes, String... phrases) {
    return BadInput.of(name, folder -> changes.to(BadInput.good(folder)), phrases);
  }

  private static BadInput row(String name, String row, Changes changes, String... phrases) {
    return BadInput.of(
        name,
        folder ->
            changes
                .to(BadInput.good(folder))
                .with("dataset", Files.writeString(folder.resolve("rows.jsonl"), row + "\n"))
                .with("strict", true),
        Stream.concat(Stream.of("rows.jsonl:1"), Stream.of(phrases)).toArray(String[]::new));
  }
}
