package io.panatron.runtime.data;

import com.fasterxml.jackson.databind.JsonNode;
import io.panatron.runtime.data.ColumnNames.Column;
import io.panatron.runtime.data.ColumnNames.Columns;
import io.panatron.runtime.data.source.BadRow;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Reads the columns {@code label}, {@code positive_messages} and {@code negative_messages} of a row
 * whose {@code messages} are known.
 *
 * @param system put in front of conversations that have no system message; null for none
 */
record SequenceColumns(SequenceTask task, @Nullable String system) {
  static final String LABEL = "label";
  static final String POSITIVES = "positive_messages";
  static final String NEGATIVES = "negative_messages";

  /**
   * The sequences of a row.
   *
   * @param messages the row's own conversation, its system message included
   */
  SequenceExample read(Columns columns, List<Message> messages) throws BadRow {
    return switch (task) {
      case SequenceTask.Classification classes ->
          new SequenceExample(
              List.of(messages),
              List.of(
                  new SequenceTag(
                      SequenceRole.SINGLE,
                      LabelColumn.read(classes, required(columns, LABEL, classes)))));
      case SequenceTask.Embedding pairs -> pair(pairs, columns, messages);
      case SequenceTask.Reranking ranking -> candidates(columns, messages);
    };
  }

  private SequenceExample pair(
      SequenceTask.Embedding pairs, Columns columns, List<Message> messages) throws BadRow {
    List<List<Message>> positives = lists(required(columns, POSITIVES, pairs));
    if (positives.size() != 1) {
      throw bad(
          "has %d lists in '%s', where --task_type embedding takes exactly one"
              .formatted(positives.size(), POSITIVES));
    }
    List<List<Message>> negatives = lists(columns.named(NEGATIVES));
    boolean takesNegatives = pairs.label() == SequenceTask.PairLabel.NONE;
    if (!negatives.isEmpty() && !takesNegatives) {
      throw bad(
          "has a column '%s', for which --loss_type %s has no use; leave it out, or take --loss_type infonce"
              .formatted(NEGATIVES, pairs.lossType()));
    }
    if (negatives.isEmpty() && pairs.needsNegatives()) {
      throw bad(
          "has no '%s', without which --infonce_use_batch false and --infonce_hard_negatives have nothing to compare with"
              .formatted(NEGATIVES));
    }
    double label = takesNegatives ? 1 : LabelColumn.ofPair(pairs.label(), columns.named(LABEL));
    List<List<Message>> conversations = new ArrayList<>(List.of(messages));
    List<SequenceTag> tags = new ArrayList<>(List.of(SequenceTag.of(SequenceRole.ANCHOR, label)));
    conversations.add(withSystem(positives.getFirst(), system));
    tags.add(SequenceTag.of(SequenceRole.POSITIVE, label));
    for (List<Message> negative : negatives) {
      conversations.add(withSystem(negative, system));
      tags.add(SequenceTag.of(SequenceRole.NEGATIVE, 0));
    }
    return new SequenceExample(conversations, tags);
  }

  private SequenceExample candidates(Columns columns, List<Message> messages) throws BadRow {
    List<List<Message>> positives = lists(required(columns, POSITIVES, task));
    if (positives.isEmpty()) {
      throw bad("has an empty '%s'; a query needs a document that fits it".formatted(POSITIVES));
    }
    List<List<Message>> conversations = new ArrayList<>();
    List<SequenceTag> tags = new ArrayList<>();
    for (List<Message> document : positives) {
      conversations.add(joined(messages, document));
      tags.add(SequenceTag.of(SequenceRole.POSITIVE, 1));
    }
    for (List<Message> document : lists(columns.named(NEGATIVES))) {
      conversations.add(joined(messages, document));
      tags.add(SequenceTag.of(SequenceRole.NEGATIVE, 0));
    }
    return new SequenceExample(conversations, tags);
  }

  /** A query and a document, whose own system message counts before the query's. */
  private static List<Message> joined(List<Message> query, List<Message> document) {
    boolean own = isSystem(document);
    List<Message> all = new ArrayList<>();
    if (own) {
      all.add(document.getFirst());
    }
    all.addAll(own && isSystem(query) ? query.subList(1, query.size()) : query);
    all.addAll(own ? document.subList(1, document.size()) : document);
    return all;
  }

  private static List<Message> withSystem(List<Message> messages, @Nullable String system) {
    if (system == null || isSystem(messages)) {
      return messages;
    }
    List<Message> all = new ArrayList<>(List.of(new Message("system", system)));
    all.addAll(messages);
    return all;
  }

  private static boolean isSystem(List<Message> messages) {
    return messages.getFirst().role().equals("system");
  }

  private static Column required(Columns columns, String name, SequenceTask task) throws BadRow {
    Column column = columns.named(name);
    if (column == null) {
      throw new BadRow(
          BadRow.Kind.COLUMNS,
          "has no column '%s', which %s needs; --columns gives another column this meaning"
              .formatted(name, describe(task)));
    }
    return column;
  }

  private static String describe(SequenceTask task) {
    return switch (task) {
      case SequenceTask.Classification classes -> "--task_type seq_cls";
      case SequenceTask.Embedding pairs -> "--task_type embedding";
      case SequenceTask.Reranking ranking -> "a reranker";
    };
  }

  /** A list of conversations; an absent column is an empty list. */
  private static List<List<Message>> lists(@Nullable Column column) throws BadRow {
    if (column == null) {
      return List.of();
    }
    JsonNode outer = MessageList.unquoted(column);
    if (!outer.isArray()) {
      throw bad(
          "has a column '%s' that is not a list of lists of messages".formatted(column.name()));
    }
    List<List<Message>> all = new ArrayList<>();
    for (JsonNode inner : outer) {
      String name = column.name() + "[" + all.size() + "]";
      all.add(MessageList.read(new Column(name, inner)));
    }
    return all;
  }

  private static BadRow bad(String message) {
    return new BadRow(BadRow.Kind.CONTENT, message);
  }
}
