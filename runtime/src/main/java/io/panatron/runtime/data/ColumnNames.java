package io.panatron.runtime.data;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.panatron.runtime.UserError;
import io.panatron.runtime.config.NearestNames;
import io.panatron.runtime.data.source.BadRow;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * Which column of a row means what: {@code --columns} first, then a column's own name, then the
 * names that data sets commonly use for it. Upper and lower case are the same, and a column whose
 * value is null counts as absent.
 *
 * <p>Source of the synonyms: Megatron-SWIFT's custom data sets.
 *
 * @param renamed what {@code --columns} says: from a column of the data, in lower case, to its
 *     meaning
 */
public record ColumnNames(Map<String, String> renamed) {
  /** No renaming. */
  public static final ColumnNames DEFAULT = new ColumnNames(Map.of());

  static final String MESSAGES = "messages";
  static final String SYSTEM = "system";
  static final String QUERY = "query";
  static final String RESPONSE = "response";
  static final String HISTORY = "history";
  static final String TOOLS = "tools";
  static final String CHANNEL = "channel";

  /** The meaning of columns that shall be passed over. */
  private static final String NONE = "_";

  private static final Map<String, List<String>> SYNONYMS =
      Map.of(
          MESSAGES, List.of("conversation", "conversations"),
          SYSTEM, List.of("system_prompt"),
          QUERY, List.of("prompt", "input", "instruction", "question", "problem"),
          RESPONSE,
              List.of(
                  "answer",
                  "output",
                  "targets",
                  "target",
                  "answer_key",
                  "answers",
                  "solution",
                  "text",
                  "completion",
                  "content"));

  /** What a column may mean: what {@link RowParser} looks for. */
  private static final Set<String> MEANINGS = meanings();

  private static Set<String> meanings() {
    Set<String> all = new TreeSet<>(SYNONYMS.keySet());
    SYNONYMS.values().forEach(all::addAll);
    all.addAll(List.of(HISTORY, TOOLS, CHANNEL));
    all.addAll(
        List.of(SequenceColumns.LABEL, SequenceColumns.POSITIVES, SequenceColumns.NEGATIVES));
    return all;
  }

  public ColumnNames {
    renamed = Collections.unmodifiableMap(new TreeMap<>(renamed));
  }

  /** Reads {@code --columns}; null means that it is unset. */
  public static ColumnNames parse(@Nullable String json) {
    if (json == null) {
      return DEFAULT;
    }
    try {
      return read("--columns " + json, new ObjectMapper().readTree(json));
    } catch (JsonProcessingException e) {
      throw noMap("--columns " + json);
    }
  }

  /**
   * Reads a JSON object of names and meanings; the meaning {@value #NONE} hides a column.
   *
   * @param where what holds it, for messages
   */
  static ColumnNames read(String where, JsonNode map) {
    Map<String, String> renamed = new LinkedHashMap<>();
    boolean texts = map.isObject();
    for (Map.Entry<String, JsonNode> entry : map.properties()) {
      texts &= entry.getValue().isTextual();
      renamed.put(entry.getKey().toLowerCase(Locale.ROOT), entry.getValue().asText());
    }
    if (!texts) {
      throw noMap(where);
    }
    renamed.values().forEach(meaning -> requireKnown(where, meaning));
    return new ColumnNames(renamed);
  }

  /** These names, and those of a single data set where these say nothing. */
  ColumnNames over(ColumnNames ofDataSet) {
    Map<String, String> all = new LinkedHashMap<>(ofDataSet.renamed());
    all.putAll(renamed);
    return new ColumnNames(all);
  }

  private static UserError noMap(String where) {
    return new UserError(
        where
            + " does not map names to names; write it like '{\"ask\": \"query\", \"reply\":"
            + " \"response\"}'");
  }

  private static void requireKnown(String where, String meaning) {
    String name = meaning.toLowerCase(Locale.ROOT);
    if (MEANINGS.contains(name) || name.equals(NONE)) {
      return;
    }
    List<String> near = NearestNames.of(name, MEANINGS);
    throw new UserError(
        where
            + " gives a column the meaning '"
            + meaning
            + "', which is none; use "
            + (near.isEmpty()
                ? "messages, query, response, system, history, tools, channel, label, positive_messages"
                    + " or negative_messages"
                : String.join(" or ", near)));
  }

  /** A column of a row: the name that the data have for it, and its value. */
  record Column(String name, JsonNode value) {}

  /** The columns of one row, by lower-case name. */
  final class Columns {
    private final Map<String, Column> own = new LinkedHashMap<>();
    private final Map<String, Column> given = new LinkedHashMap<>();

    private Columns(JsonNode row) {
      for (Map.Entry<String, JsonNode> field : row.properties()) {
        if (field.getValue().isNull()) {
          continue;
        }
        Column column = new Column(field.getKey(), field.getValue());
        String name = field.getKey().toLowerCase(Locale.ROOT);
        String meaning = renamed.get(name);
        if (meaning == null) {
          own.put(name, column);
        } else {
          given.put(meaning.toLowerCase(Locale.ROOT), column);
        }
      }
    }

    /** A column by its own name or the one that {@code --columns} gives it, without synonyms. */
    @Nullable Column named(String name) {
      Column column = given.get(name);
      return column == null ? own.get(name) : column;
    }

    /** Whether {@code --columns} names a column of the row so. */
    boolean isGiven(String name) {
      return given.containsKey(name);
    }

    /**
     * The column that has a meaning, or null.
     *
     * @throws BadRow if several columns could be meant
     */
    @Nullable Column find(String meaning) throws BadRow {
      Column named = named(meaning);
      if (named != null) {
        return named;
      }
      List<Column> candidates = new ArrayList<>();
      for (String synonym : SYNONYMS.getOrDefault(meaning, List.of())) {
        Column column = named(synonym);
        if (column != null) {
          candidates.add(column);
        }
      }
      if (candidates.size() > 1) {
        throw new BadRow(
            BadRow.Kind.COLUMNS,
            "has columns '"
                + candidates.get(0).name()
                + "' and '"
                + candidates.get(1).name()
                + "' that could both be the "
                + meaning
                + "; name one with --columns '{\""
                + candidates.get(0).name()
                + "\": \""
                + meaning
                + "\"}'");
      }
      return candidates.isEmpty() ? null : candidates.getFirst();
    }
  }

  Columns of(JsonNode row) {
    return new Columns(row);
  }
}
