package io.panatron.runtime.observe.report;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.panatron.runtime.UserError;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;

/**
 * What a run folder tells of its run.
 *
 * @param folder where it lies
 * @param series each number that was logged, by key and iteration
 * @param facts {@code run.json}; empty where a run left none
 * @param arguments {@code args.json}; empty where a run left none
 * @param progress the last iteration that was logged, such as {@code 80/100}
 * @param elapsed wall time up to there
 */
record RunData(
    Path folder,
    Map<String, NavigableMap<Long, Double>> series,
    JsonNode facts,
    JsonNode arguments,
    String progress,
    String elapsed) {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String LOG = "logging.jsonl";

  /**
   * Reads a run folder.
   *
   * @throws UserError if it is none, or its log has a line that is not of this program
   */
  static RunData read(Path folder) {
    Path log = folder.resolve(LOG);
    if (!Files.isRegularFile(log)) {
      throw new UserError(
          "%s is no run folder: it has no %s; give a folder that sft or pt left, such as %s."
              .formatted(folder, LOG, folder.resolve("v0-20260101-120000")));
    }
    try {
      Rows rows = new Rows(log);
      rows.read();
      return new RunData(
          folder,
          rows.series,
          optional(folder.resolve("run.json")),
          optional(folder.resolve("args.json")),
          rows.progress,
          rows.elapsed);
    } catch (CharacterCodingException e) {
      throw new UserError(
          "%s is not UTF-8 text; remove the lines that this program did not write.".formatted(log),
          e);
    } catch (IOException e) {
      throw new UserError(
          "%s cannot be read (%s); check the folder's permissions."
              .formatted(folder, e.getMessage()),
          e);
    }
  }

  /** A name that tells runs apart: the folder's, with its parent's if it only says a version. */
  String name() {
    Path whole = folder.toAbsolutePath().normalize();
    String last = String.valueOf(whole.getFileName());
    Path parent = whole.getParent();
    return last.matches("v\\d+-\\d{8}-\\d{6}") && parent != null && parent.getFileName() != null
        ? parent.getFileName() + "/" + last
        : last;
  }

  private static JsonNode optional(Path file) throws IOException {
    ObjectNode none = JSON.createObjectNode();
    if (!Files.isRegularFile(file)) {
      return none;
    }
    try {
      JsonNode read = JSON.readTree(file.toFile());
      return read.isObject() ? read : none;
    } catch (JsonProcessingException e) {
      throw new UserError(
          "%s is no JSON (%s); remove it to make the report without it."
              .formatted(file, e.getOriginalMessage()),
          e);
    }
  }

  /**
   * The rows of a log. Where a run was resumed in its folder, an iteration may stand there twice,
   * and rows may stand after the point it was resumed from: later rows replace earlier ones of
   * their iteration and beyond.
   */
  private static final class Rows {
    private final Path log;
    private final Map<String, NavigableMap<Long, Double>> series = new TreeMap<>();
    private String progress = "–";
    private String elapsed = "";
    private long latest;

    Rows(Path log) {
      this.log = log;
    }

    void read() throws IOException {
      List<String> lines = Files.readAllLines(log);
      for (int i = 0; i < lines.size(); i++) {
        JsonNode row;
        try {
          row = JSON.readTree(lines.get(i));
        } catch (JsonProcessingException e) {
          // A killed run leaves half a line.
          continue;
        }
        if (row.isMissingNode()) {
          continue;
        }
        try {
          add(row);
        } catch (IllegalArgumentException e) {
          throw new UserError(
              "%s:%d is no log row (%s); remove the line."
                  .formatted(log, i + 1, String.valueOf(e.getMessage())),
              e);
        }
      }
      if (series.isEmpty()) {
        throw new UserError(
            log + " has no row yet; wait until the run has logged its first iteration.");
      }
    }

    private void add(JsonNode row) {
      String text = row.path("iteration").asText();
      int slash = text.indexOf('/');
      if (slash < 1) {
        throw new IllegalArgumentException("it has no iteration");
      }
      long iteration = Long.parseLong(text.substring(0, slash));
      if (iteration < latest) {
        long from = iteration;
        series.values().forEach(points -> points.tailMap(from, true).clear());
      }
      latest = iteration;
      progress = text;
      elapsed = row.path("elapsed_time").asText(elapsed);
      for (Map.Entry<String, JsonNode> cell : row.properties()) {
        if (cell.getValue().isNumber() || isNoNumber(cell.getValue())) {
          series
              .computeIfAbsent(cell.getKey(), key -> new TreeMap<>())
              .put(iteration, cell.getValue().asDouble(Double.NaN));
        }
      }
    }

    /** JSON has no numbers for these, so they are logged as text. */
    private static boolean isNoNumber(JsonNode value) {
      return value.isTextual() && value.textValue().matches("NaN|-?Infinity");
    }
  }
}
