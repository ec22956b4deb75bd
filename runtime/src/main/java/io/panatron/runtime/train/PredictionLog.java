package io.panatron.runtime.train;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.panatron.runtime.UserError;
import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Map;

/** Writes what evaluations predict, a JSON object a line, in the order of the validation set. */
public final class PredictionLog {
  static final String NAME = "predictions.jsonl";

  private final Path file;
  private final ObjectMapper json = new ObjectMapper();

  PredictionLog(Path runFolder) {
    file = runFolder.resolve(NAME);
  }

  /** Adds the predictions of one evaluation. */
  void write(long iteration, List<Map<String, Object>> predictions) {
    try (BufferedWriter out =
        Files.newBufferedWriter(file, StandardOpenOption.CREATE, StandardOpenOption.APPEND)) {
      int number = 0;
      for (Map<String, Object> prediction : predictions) {
        ObjectNode row = json.createObjectNode().put("iteration", iteration).put("row", number++);
        prediction.forEach((name, value) -> row.set(name, json.valueToTree(value)));
        out.write(json.writeValueAsString(row));
        out.newLine();
      }
    } catch (IOException e) {
      throw new UserError(
          "the predictions cannot be written to %s (%s); free space, or drop --save_predictions"
              .formatted(file, e.getMessage()),
          e);
    }
  }
}
