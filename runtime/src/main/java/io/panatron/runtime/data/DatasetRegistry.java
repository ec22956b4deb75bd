package io.panatron.runtime.data;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.panatron.runtime.JsonProblem;
import io.panatron.runtime.UserError;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Data sets that JSON files give names, paths and meanings of columns: {@code
 * --custom_dataset_info}.
 *
 * <p>A file holds a list of objects with {@code dataset_name}, {@code dataset_path} (relative to
 * the file), {@code ms_dataset_id}, {@code hf_dataset_id}, {@code columns} and {@code subsets};
 * subsets are names, or objects with {@code subset}, {@code name} and {@code columns}. Source:
 * Megatron-SWIFT's {@code register_dataset_info}.
 */
public final class DatasetRegistry {
  private static final String OPTION = "--custom_dataset_info";
  private static final List<String> NAMES =
      List.of("dataset_name", "ms_dataset_id", "hf_dataset_id");
  private static final Set<String> KNOWN =
      Set.of(
          "dataset_name",
          "ms_dataset_id",
          "hf_dataset_id",
          "dataset_path",
          "columns",
          "subsets",
          "split",
          "tags",
          "help",
          "huge_dataset");
  private static final Set<String> KNOWN_OF_SUBSET =
      Set.of("name", "subset", "columns", "split", "is_weak_subset");

  /**
   * A named data set.
   *
   * @param path null for one that only a hub has
   * @param subsets meanings of columns by subset; empty for a data set without subsets
   */
  private record Registered(
      @Nullable Path path, ColumnNames columns, Map<String, Subset> subsets) {}

  private record Subset(String folder, ColumnNames columns) {}

  /**
   * A value of {@code --dataset} as it stands for files.
   *
   * @param value the path in place of the name, with subset and count
   * @param columns what the columns of this data set mean; null if nothing is said of them
   */
  public record Resolved(String value, @Nullable ColumnNames columns) {}

  private final Map<String, Registered> byName = new LinkedHashMap<>();

  private DatasetRegistry() {}

  /**
   * Reads the files, or values that are JSON themselves.
   *
   * @throws UserError naming file and entry for what cannot be understood
   */
  public static DatasetRegistry read(List<String> given) {
    DatasetRegistry registry = new DatasetRegistry();
    given.forEach(registry::add);
    return registry;
  }

  private void add(String given) {
    Path file = file(given);
    JsonNode list;
    try {
      String json = file == null ? given : Files.readString(file, StandardCharsets.UTF_8);
      list = new ObjectMapper().readTree(json);
    } catch (JsonProcessingException e) {
      throw new UserError(
          file == null
              ? OPTION + " " + given + " is no file, nor a list in JSON; check the path"
              : OPTION + " " + given + " is not valid JSON: " + JsonProblem.of(e),
          e);
    } catch (IOException e) {
      throw new UserError(
          OPTION + " " + given + " cannot be read as UTF-8 text (" + e + "); check the path", e);
    }
    if (!list.isArray()) {
      throw new UserError(OPTION + " " + given + " does not hold a list of data sets");
    }
    int number = 1;
    for (JsonNode entry : list) {
      add(OPTION + " " + given + ", entry " + number++ + ",", file, entry);
    }
  }

  private static @Nullable Path file(String given) {
    try {
      Path path = Path.of(given);
      return Files.isRegularFile(path) ? path : null;
    } catch (InvalidPathException e) {
      return null; // JSON, perhaps
    }
  }

  private void add(String where, @Nullable Path file, JsonNode entry) {
    requireKnown(where, entry, KNOWN);
    Path path = null;
    if (entry.has("dataset_path")) {
      Path base = file == null ? Path.of("") : file.toAbsolutePath().resolveSibling("");
      path = base.resolve(text(where, entry, "dataset_path")).toAbsolutePath().normalize();
    }
    Set<String> names = new LinkedHashSet<>();
    for (String key : NAMES) {
      if (entry.has(key)) {
        names.add(text(where, entry, key));
      }
    }
    if (path != null) {
      names.add(path.toString());
    }
    if (names.isEmpty()) {
      throw new UserError(
          where + " names no data set; give dataset_path, or dataset_name beside it");
    }
    ColumnNames columns = columns(where, entry);
    Map<String, Subset> subsets = new LinkedHashMap<>();
    for (JsonNode subset : entry.path("subsets")) {
      addSubset(where, subset, columns, subsets);
    }
    for (String name : names) {
      if (byName.put(name, new Registered(path, columns, subsets)) != null) {
        throw new UserError(where + " gives the name '" + name + "' a second time");
      }
    }
  }

  private static void addSubset(
      String where, JsonNode subset, ColumnNames columns, Map<String, Subset> subsets) {
    if (subset.isTextual()) {
      subsets.put(subset.textValue(), new Subset(subset.textValue(), columns));
      return;
    }
    requireKnown(where + " subset", subset, KNOWN_OF_SUBSET);
    String folder = text(where, subset, "subset");
    String name = subset.has("name") ? text(where, subset, "name") : folder;
    ColumnNames own = subset.has("columns") ? columns(where, subset) : columns;
    subsets.put(name, new Subset(folder, own));
  }

  private static void requireKnown(String where, JsonNode entry, Set<String> known) {
    if (!entry.isObject()) {
      throw new UserError(where + " is not a JSON object");
    }
    List<String> unknown = new ArrayList<>();
    entry
        .properties()
        .forEach(field -> {
          if (!known.contains(field.getKey())) {
            unknown.add(field.getKey());
          }
        });
    if (!unknown.isEmpty()) {
      throw new UserError(
          where + " has " + String.join(", ", unknown) + ", which is not supported; take it out");
    }
    for (JsonNode split : entry.path("split")) {
      if (!split.asText().equals("train")) {
        throw new UserError(
            where
                + " asks for the split '"
                + split.asText()
                + "'; name the files of it as a data set of their own");
      }
    }
  }

  private static String text(String where, JsonNode entry, String key) {
    if (!entry.path(key).isTextual() || entry.path(key).textValue().isEmpty()) {
      throw new UserError(where + " has a " + key + " that is not a text");
    }
    return entry.path(key).textValue();
  }

  private static ColumnNames columns(String where, JsonNode entry) {
    return entry.has("columns")
        ? ColumnNames.read(where + " 'columns'", entry.path("columns"))
        : ColumnNames.DEFAULT;
  }

  /**
   * Values of {@code --dataset} or {@code --val_dataset}, with paths in place of names.
   *
   * @param columns takes what is said of the columns of data sets, by these values
   * @throws UserError as {@link #resolve(String, String)}, or if one data set has columns twice
   */
  public List<String> resolve(
      String option, List<String> values, Map<String, ColumnNames> columns) {
    List<String> resolved = new ArrayList<>();
    for (String value : values) {
      Resolved data = resolve(option, value);
      resolved.add(data.value());
      if (data.columns() != null) {
        ColumnNames before = columns.put(data.value(), data.columns());
        if (before != null && !before.equals(data.columns())) {
          throw new UserError(
              "%s %s is a data set that is given a second time with other columns; give it once"
                  .formatted(option, value));
        }
      }
    }
    return resolved;
  }

  /**
   * A value of {@code --dataset} or {@code --val_dataset}, which may start with a name.
   *
   * @throws UserError if the data set has several subsets and none is named, or lacks the named one
   */
  public Resolved resolve(String option, String value) {
    int hash = value.lastIndexOf('#');
    String count = hash < 0 ? "" : value.substring(hash);
    String name = hash < 0 ? value : value.substring(0, hash);
    Registered found = find(name);
    String subset = null;
    if (found == null) {
      int colon = name.lastIndexOf(':');
      found = colon < 0 ? null : find(name.substring(0, colon));
      if (found == null) {
        return new Resolved(value, null);
      }
      subset = name.substring(colon + 1);
      name = name.substring(0, colon);
    }
    Subset chosen = chosen(option, value, found, subset);
    String path = found.path() == null ? name : found.path().toString();
    boolean whole = chosen.folder().isEmpty() || chosen.folder().equals("default");
    ColumnNames columns = chosen.columns();
    return new Resolved(
        path + (whole ? "" : ":" + chosen.folder()) + count,
        columns.equals(ColumnNames.DEFAULT) ? null : columns);
  }

  private static Subset chosen(
      String option, String value, Registered found, @Nullable String subset) {
    Map<String, Subset> subsets = found.subsets();
    if (subset == null && subsets.size() == 1) {
      return subsets.values().iterator().next();
    }
    if (subset == null && !subsets.isEmpty()) {
      throw new UserError(
          "%s %s has the subsets %s; name one, as in %s:%s"
              .formatted(
                  option,
                  value,
                  String.join(", ", subsets.keySet()),
                  value,
                  subsets.keySet().iterator().next()));
    }
    if (subset == null || subsets.isEmpty()) {
      return new Subset(subset == null ? "" : subset, found.columns());
    }
    Subset named = subsets.get(subset);
    if (named == null) {
      throw new UserError(
          "%s %s asks for a subset that %s does not list; it has %s"
              .formatted(option, value, OPTION, String.join(", ", subsets.keySet())));
    }
    return named;
  }

  private @Nullable Registered find(String name) {
    Registered named = byName.get(name);
    if (named != null) {
      return named;
    }
    try {
      return byName.get(Path.of(name).toAbsolutePath().normalize().toString());
    } catch (InvalidPathException e) {
      return null;
    }
  }
}
