package io.panatron.runtime.observe;

import java.util.Map;

/** Takes the rows that also go to {@code logging.jsonl}. */
@FunctionalInterface
public interface RowListener {
  /** A row of a training step, or of an evaluation, whose keys then start with {@code eval_}. */
  void row(long iteration, Map<String, ?> row);
}
