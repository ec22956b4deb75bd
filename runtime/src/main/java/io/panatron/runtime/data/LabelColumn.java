package io.panatron.runtime.data;

import com.fasterxml.jackson.databind.JsonNode;
import io.panatron.runtime.data.ColumnNames.Column;
import io.panatron.runtime.data.source.BadRow;
import io.panatron.runtime.data.source.RowJson;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Reads the column {@code label}; in a CSV cell it is a text. */
final class LabelColumn {
  private LabelColumn() {}

  /** The labels of a sequence that is classified: a class, the classes that apply, or numbers. */
  static List<Double> read(SequenceTask.Classification task, Column column) throws BadRow {
    List<Double> labels = new ArrayList<>();
    JsonNode value = value(column);
    boolean listed = value.isArray();
    for (JsonNode item : listed ? value : List.of(value)) {
      labels.add(number(column, item));
    }
    switch (task.problem()) {
      case SINGLE_LABEL_CLASSIFICATION -> {
        if (listed) {
          throw bad(
              column, "a list, where --problem_type single_label_classification takes one class");
        }
        requireClasses(task, column, labels);
      }
      case MULTI_LABEL_CLASSIFICATION -> {
        if (!listed) {
          throw bad(
              column,
              "no list, where --problem_type multi_label_classification takes a list of classes");
        }
        requireClasses(task, column, labels);
        if (labels.stream().distinct().count() != labels.size()) {
          throw bad(column, "a list that names a class twice");
        }
      }
      case REGRESSION -> {
        if (labels.size() != task.labels() || listed && task.labels() == 1) {
          throw bad(
              column,
              task.labels() == 1
                  ? "a list, where --num_labels 1 takes one number"
                  : "%d numbers, where --num_labels %d takes a list of as many"
                      .formatted(labels.size(), task.labels()));
        }
      }
    }
    return labels;
  }

  private static void requireClasses(
      SequenceTask.Classification task, Column column, List<Double> labels) throws BadRow {
    for (double label : labels) {
      if (label != Math.rint(label) || label < 0 || label >= task.labels()) {
        throw bad(
            column,
            "the value %s, which is no class from 0 to %d (--num_labels %d)"
                .formatted(
                    label == Math.rint(label) ? String.valueOf((long) label) : label,
                    task.labels() - 1,
                    task.labels()));
      }
    }
  }

  /** The label of a pair of sequences, 1 where there is none. */
  static double ofPair(SequenceTask.PairLabel kind, @Nullable Column column) throws BadRow {
    if (column == null) {
      return 1;
    }
    JsonNode value = value(column);
    double label = number(column, value);
    if (kind == SequenceTask.PairLabel.BINARY && label != 0 && label != 1) {
      throw bad(column, "the value " + value + ", where contrastive losses take 0 or 1");
    }
    return label;
  }

  private static JsonNode value(Column column) throws BadRow {
    if (!column.value().isTextual()) {
      return column.value();
    }
    try {
      return RowJson.parse(column.value().textValue());
    } catch (BadRow e) {
      throw bad(column, "the text '" + column.value().textValue() + "', which is not a number");
    }
  }

  private static double number(Column column, JsonNode value) throws BadRow {
    double number =
        value.isNumber()
            ? value.doubleValue()
            : value.isBoolean() ? (value.booleanValue() ? 1 : 0) : Double.NaN;
    if (!Double.isFinite(number)) {
      throw bad(column, "the value " + value + ", which is not a number");
    }
    return number;
  }

  private static BadRow bad(Column column, String what) {
    return new BadRow(BadRow.Kind.CONTENT, "has in the column '" + column.name() + "' " + what);
  }
}
