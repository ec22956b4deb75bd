package io.panatron.runtime.data;

import io.panatron.runtime.data.source.BadRow;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * What is left out of the data: how many rows for each kind of reason, and the first few with file
 * and line. Grows while data are read; safe for use by several threads.
 */
public final class DroppedRows {
  /** Examples that are kept of each kind. */
  static final int MAX_EXAMPLES = 3;

  private final Map<BadRow.Kind, Integer> counts = new EnumMap<>(BadRow.Kind.class);
  private final Map<BadRow.Kind, List<String>> examples = new EnumMap<>(BadRow.Kind.class);

  /** Counts a row; the example starts with file and line. */
  synchronized void add(BadRow.Kind kind, String example) {
    counts.merge(kind, 1, Integer::sum);
    List<String> kept = examples.computeIfAbsent(kind, k -> new ArrayList<>());
    if (kept.size() < MAX_EXAMPLES) {
      kept.add(example);
    }
  }

  public synchronized int count(BadRow.Kind kind) {
    return counts.getOrDefault(kind, 0);
  }

  public synchronized int total() {
    return counts.values().stream().mapToInt(Integer::intValue).sum();
  }

  /** The first rows of a kind with their reasons. */
  public synchronized List<String> examples(BadRow.Kind kind) {
    return List.copyOf(examples.getOrDefault(kind, List.of()));
  }

  /** The first rows of every kind with their reasons. */
  public synchronized List<String> examples() {
    return examples.values().stream().flatMap(List::stream).toList();
  }

  /** One clause with the counts and the first example of each kind. */
  synchronized String summary() {
    return counts.entrySet().stream()
        .map(e -> rows(e.getValue(), e.getKey()) + ", first: " + examples(e.getKey()).getFirst())
        .collect(Collectors.joining("; "));
  }

  /** Lines for the user; none if nothing was left out. */
  public synchronized List<String> describe() {
    if (total() == 0) {
      return List.of();
    }
    List<String> lines = new ArrayList<>();
    lines.add("Left out          " + (total() == 1 ? "1 row:" : total() + " rows:"));
    counts.forEach((kind, count) -> {
      lines.add("  " + rows(count, kind) + ":");
      examples(kind).forEach(example -> lines.add("    " + example));
      if (count > examples(kind).size()) {
        lines.add("    and " + (count - examples(kind).size()) + " more");
      }
    });
    return lines;
  }

  private static String rows(int count, BadRow.Kind kind) {
    return count + (count == 1 ? " row " : " rows ") + kind.description();
  }
}
