package io.panatron.runtime.observe.tracker;

import java.time.Instant;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Numbers of one iteration.
 *
 * @param values by name, {@code train/...} or {@code eval/...}
 */
record TrackerRow(long iteration, Instant time, Map<String, Double> values) {
  TrackerRow {
    values = Collections.unmodifiableMap(new LinkedHashMap<>(values));
  }

  /**
   * The numbers of a log row, under the names that TensorBoard shows too: {@code eval_loss} is
   * {@code eval/loss}, {@code train_speed(s/it)} is {@code train/train_speed(s_it)}.
   */
  static TrackerRow of(long iteration, Instant time, Map<String, ?> row) {
    Map<String, Double> values = new LinkedHashMap<>();
    boolean evaluation = row.keySet().stream().anyMatch(key -> key.startsWith("eval_"));
    row.forEach((key, value) -> {
      if (value instanceof Number number) {
        String plain = key.replace('/', '_');
        String name = evaluation ? plain.replaceFirst("^eval_", "") : plain;
        values.put((evaluation ? "eval/" : "train/") + name, number.doubleValue());
      }
    });
    return new TrackerRow(iteration, time, values);
  }
}
